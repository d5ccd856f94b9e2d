"""Never run: the type checker has to accept it. What users may write with types."""

from pathlib import Path
from typing import Any

from resumable_search import (
    CandidateComparisonDisplay,
    ResumableGridSearchCV,
    ResumableRandomizedSearchCV,
    ResumableSearchError,
    SearchInterrupted,
    SearchProgressDisplay,
    fold_directory,
    read_results,
    register_irrelevant,
    register_key,
)
from resumable_search.keras import KerasClassifier, KerasRegressor


class Model:
    """A class of the user's."""

    depth: int = 3


def search() -> None:
    """Make searches with all parameters that are not scikit-learn's."""
    grid = ResumableGridSearchCV(
        Model(),
        {"depth": [1, 2]},
        checkpoint=Path("checkpoint.sqlite"),
        max_retries=0,
        devices=[0, "GPU-8f"],
        gpu_memory=0.5,
        mps="auto",
        save_epochs=5,
        executor="in-process",
        fold_timeout=60.0,
        time_budget=3600,
        grace_period=10,
    )
    fitted: ResumableGridSearchCV = grid.fit([[0.0]], [1])
    n_resumed: int = fitted.resumption.n_resumed
    place: Path = fitted.resumption.checkpoint
    randomized = ResumableRandomizedSearchCV(Model(), {"depth": [1]}, devices=None)
    results: dict[str, Any] = fitted.partial_results
    print(n_resumed, place, randomized, results, read_results(place, as_frame=True))
    try:
        grid.fit([[0.0]], [1])
    except SearchInterrupted as exc:
        n_done: int = exc.n_done
        print(n_done, exc.cv_results_, exc.signum)


def others() -> None:
    """Use what else is public."""
    directory: Path | None = fold_directory()
    register_key(Model, lambda model: model.depth)
    register_irrelevant(Model, "depth", "width")
    classifier = KerasClassifier(lambda: None, epochs=3, model__units=4)
    regressor = KerasRegressor(lambda: None, inputs={"a": [0], "b": [1]})
    try:
        classifier.fit([[0.0]], [1])
    except ResumableSearchError as exc:
        print(exc, directory, regressor)


def pictures(search: ResumableGridSearchCV) -> None:
    """Draw."""
    progress: SearchProgressDisplay = SearchProgressDisplay.from_search(search)
    progress = SearchProgressDisplay.from_checkpoint(
        Path("checkpoint.sqlite"), search=2, kind="workers", color_by="split"
    )
    progress.plot(progress.ax_, pauses="keep").figure_.savefig("progress.png")
    comparison = CandidateComparisonDisplay.from_search(search, parameters="depth")
    comparison = CandidateComparisonDisplay.from_checkpoint(
        parameters=("depth", "width"), metric="accuracy", kind="heatmap"
    )
    print(comparison.ax_.get_xlabel(), comparison.n_left_out_)
