"""The file that holds finished folds, and what lies beside it."""
