"""Run all pairs and print a table."""

import argparse
import collections
import tempfile
import time
from pathlib import Path

from .grammar import generate
from .known import reason
from .runner import Verdict, run_pairs

_OUTCOMES = {
    "right": "as scikit-learn",
    "wrong": "a score that scikit-learn does not give",
    "needless": "run again for nothing",
    "refused": "an error, where scikit-learn with n_jobs=2 has none",
    "unsent": "an error, as in scikit-learn with n_jobs=2",
    "void": "shows nothing",
}
_TOGETHER = 100  # pairs in one process


def main() -> int:
    """Return 1 where a pair came out wrong, void, or otherwise without a reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.keys.differential")
    parser.add_argument("--pairs", type=int, default=600, help="that the grammar makes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a text in the name of the pairs")
    parser.add_argument("--mode", choices=["shared", "session", "own"])
    parser.add_argument("--every", type=int, default=1, help="take each n-th pair")
    parser.add_argument("--first", type=int, default=0, help="and begin with this one")
    parser.add_argument("--keep", type=Path, help="an empty folder for the programs")
    options = parser.parse_args()
    pairs = [
        pair
        for pair in generate(options.pairs, options.seed)
        if options.only in ", ".join(pair.kind) and options.mode in (None, pair.mode)
    ][options.first :: options.every]
    begin = time.monotonic()
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(0, len(pairs), _TOGETHER):
            work = (options.keep or Path(folder)) / str(number)
            work.mkdir()
            some = run_pairs(pairs[number : number + _TOGETHER], work)
            verdicts += some
            _tell(some)
    print(f"\n{len(pairs)} pairs in {time.monotonic() - begin:.0f} s")
    return _table(verdicts)


def _tell(verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.outcome not in ("right", "unsent"):
            kind = ", ".join(verdict.pair.kind)
            print(f"{verdict.outcome}: {verdict.pair.prefix} {kind}")
            print(f"    {reason(verdict) or verdict.why[:400]}", flush=True)


def _table(verdicts: list[Verdict]) -> int:
    counts = collections.Counter(verdict.outcome for verdict in verdicts)
    reasons = collections.Counter(
        (verdict.outcome, reason(verdict) or "no reason")
        for verdict in verdicts
        if verdict.outcome != "right"
    )
    for outcome, meaning in _OUTCOMES.items():
        print(f"{counts[outcome]:6}  {meaning}")
        for (what, why), number in reasons.most_common():
            if what == outcome:
                print(f"{number:14}  {why}")
    return int(any(why == "no reason" for _outcome, why in reasons))


if __name__ == "__main__":
    raise SystemExit(main())
