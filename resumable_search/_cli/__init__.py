"""The commands of ``resumable-search``. Nothing heavy is imported before one runs."""
