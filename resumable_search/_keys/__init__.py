"""What counts as the same fold: stable keys for values, data and code."""
