"""What the person watching sees."""
