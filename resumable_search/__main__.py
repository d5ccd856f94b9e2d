"""``python -m resumable_search``."""

from .cli import main

main(prog_name="resumable-search")
