"""From scores to answers: probability, kept or not, and how good that is. Arrays in and out."""
