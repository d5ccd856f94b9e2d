"""The parts of `resumable_search.keras`, and what is wrong with other wrappers."""
