"""Tasks for what runs folds, without anything to run."""

from resumable_search._records import FoldTask


def task(number: int) -> FoldTask:
    """Return a task of a candidate of its own."""
    return FoldTask(
        task_id=number,
        context_path="",
        split_path="",
        payload=b"",
        directory="",
        candidate=number,
    )
