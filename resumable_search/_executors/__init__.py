"""What runs the folds of a search."""
