"""Training: recipes, losses, cached features and the loop."""
