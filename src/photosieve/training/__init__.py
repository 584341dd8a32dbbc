"""Training: recipes, features, losses, the loop, and trainings that leave something out."""
