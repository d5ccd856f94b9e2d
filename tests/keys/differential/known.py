"""Why pairs come out otherwise than they could, where there is a reason."""

from typing import NamedTuple

from .carriers import CARRIERS
from .runner import Verdict

__all__ = ["KNOWN", "Known", "reason"]


class Known(NamedTuple):
    """An outcome that is not "right", and has a reason.

    Attributes
    ----------
    outcome : str
        "needless" or "refused"; "wrong" only for what the docs list as not seen.
    changes : set of str
        One of them is among the names of the pair's kind.
    places : set of str
        Likewise, unless it is empty.
    why : str
        The reason.
    """

    outcome: str
    changes: set[str]
    places: set[str]
    why: str


_WHOLE = {name for name, carrier in CARRIERS.items() if carrier.in_module}
_WHOLE |= {
    "in a module imported in a function",
    "module in a dict",
    "module in an object",
    "module handed on",
    "attrgetter",
    "getattr of a module",
}

KNOWN = (
    Known(
        "needless",
        {"python -O"},
        set(),
        "a failing assert decides a score, so code counts with its asserts",
    ),
    Known(
        "needless",
        {"a range for an array"},
        set(),
        "scikit-learn refuses a range where the data is an array",
    ),
    Known(
        "refused",
        {"code of a nested class"},
        {"metaclass"},
        "cloudpickle leaves out what only the body of a nested class reads, and "
        "scikit-learn with n_jobs=2 fails, too",
    ),
    Known(
        "needless",
        {"a time stamp in a settings object", "another item of a settings dict"},
        set(),
        "a settings object counts with all that it holds",
    ),
    Known(
        "needless",
        {
            "another expression",
            "code that is not used",
            "order of imports",
            "a function that is not used",
            "another order of definitions",
            "__all__",
        },
        _WHOLE,
        "a module that a function imports or is handed counts as a whole",
    ),
    Known(
        "needless",
        {"the name of a function"},
        set(),
        "code counts with the names of what it calls",
    ),
)


def reason(verdict: Verdict) -> str | None:
    """Return the reason for which a pair may come out so, or None."""
    if verdict.outcome == "unsent":
        return "cloudpickle cannot send it"
    kind = set(verdict.pair.kind)
    for known in KNOWN:
        fits = known.outcome == verdict.outcome and kind & known.changes
        if fits and (not known.places or kind & known.places):
            return known.why
    return None
