"""What the pool cannot know of an outcome: what scores are, and what to do."""

from dataclasses import replace

from .._records import FoldOutcome
from .._sklearn_compat.calls import FoldCall

__all__ = ["checked", "explained"]


def checked(outcome: FoldOutcome) -> FoldOutcome:
    """Turn scores that are no real numbers into the error that they are."""
    if outcome.result is None:
        return outcome
    for scores in (outcome.result["test_scores"], outcome.result.get("train_scores")):
        for score in scores.values() if isinstance(scores, dict) else [scores]:
            try:
                float(0 if score is None else score)
            except (TypeError, ValueError, OverflowError):
                error = TypeError(
                    "scoring must return a real number, or a dict of such numbers. "
                    f"Got {score!r} ({type(score).__name__}) instead."
                )
                return replace(outcome, result=None, failure=None, error=error)
    return outcome


def explained(outcome: FoldOutcome, call: FoldCall) -> FoldOutcome:
    """Say what can be done about a fold for which a whole GPU was not enough."""
    if outcome.out_of_memory is None:
        return outcome
    text = (
        f"The candidate {call.parameters!r} ran out of GPU memory, alone on "
        f"{outcome.out_of_memory}. Lower its batch size or the size of its model, or "
        "take it out of the search; if nothing else needs the GPU, raise 'gpu_memory'."
    )
    if outcome.error is not None:
        outcome.error.add_note(text)
    if outcome.result is None:
        return outcome
    failure = f"{text}\n\n{outcome.failure}"
    result = outcome.result
    if result["fit_error"] is not None:
        result = {**result, "fit_error": failure}
    return replace(outcome, result=result, failure=failure)
