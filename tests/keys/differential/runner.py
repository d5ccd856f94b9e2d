"""Runs pairs of programs and judges them against scikit-learn."""

import json
import os
import random
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers import interpreters

from .child import PLAN
from .programs import Pair, Program
from .tools import TOOLS

__all__ = ["Verdict", "judge", "run_pairs"]

_ROOT = Path(__file__).parents[3]
_FOOTER = """
if __name__ == "__main__":
    from tests.keys.differential.child import report

    report(program)
"""


@dataclass(frozen=True)
class Verdict:
    """What came out of a pair.

    Attributes
    ----------
    pair : Pair
        The pair.
    outcome : str
        "right"; "wrong" (a score that scikit-learn does not give); "needless" (folds
        ran again although nothing that a score depends on has changed); "refused" (an
        error where scikit-learn with ``n_jobs=2`` has a score); "unsent" (an error
        there, too); "void" (the pair shows nothing: scikit-learn cannot run it, or A
        and B score alike).
    why : str
        What was seen.
    """

    pair: Pair
    outcome: str
    why: str = ""


def run_pairs(pairs: Sequence[Pair], work: Path) -> list[Verdict]:
    """Run pairs in an empty folder and judge them."""
    for folder in ("plans", "checkpoints", "first", "second"):
        (work / folder).mkdir()
    (work / "differential_tools.py").write_text(TOOLS)
    outcomes = work / "outcomes.jsonl"
    outcomes.touch()
    for run in ("a", "b"):
        together = [n for n, pair in enumerate(pairs) if pair.mode != "own"]
        if run == "b":  # nothing may depend on what was called before
            random.Random(0).shuffle(together)
        _write(work, run, pairs)
        groups = [[n] for n, pair in enumerate(pairs) if pair.mode == "own"]
        for numbers in [together, *groups]:
            if numbers:
                _run_group(work, run, numbers, pairs, outcomes)
    seen: dict[int, dict[str, Any]] = {}
    for line in outcomes.read_text().splitlines():
        outcome = json.loads(line)
        seen.setdefault(outcome["pair"], {})[outcome["run"]] = outcome
    return [judge(pair, seen.get(n, {})) for n, pair in enumerate(pairs)]


def _write(work: Path, run: str, pairs: Iterable[Pair]) -> None:
    """Write the files of all programs of a run; those of the other one go."""
    for pair in pairs:
        old, new = (pair.a, pair.b) if run == "b" else (pair.b, pair.a)
        for name in old.files.keys() - new.files.keys():
            (work / name).unlink(missing_ok=True)
        for name, text in _texts(new).items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _texts(program: Program) -> dict[str, str]:
    texts = dict(program.files)
    if program.launch != "exec":
        texts[program.script] += _FOOTER
    return texts


def _tasks(work: Path, run: str, number: int, pair: Pair) -> Iterable[dict[str, Any]]:
    program = pair.a if run == "a" else pair.b
    task = {
        "pair": number,
        "run": run,
        "script": str(work / program.script),
        "prefix": pair.prefix,
        "checkpoint": str(work / "checkpoints" / f"{number}.sqlite"),
        "search": program.search,
        "write": {},
        # In a session, plain scikit-learn would import what only the folds import.
        "truth": not (run == "a" and pair.mode == "session"),
    }
    yield task
    if run == "a" and pair.mode == "session":
        yield {
            **task,
            "run": "session",
            "script": str(work / pair.b.script),
            "write": {str(work / n): text for n, text in _texts(pair.b).items()},
        }


def _run_group(
    work: Path, run: str, numbers: Sequence[int], pairs: Sequence[Pair], outcomes: Path
) -> None:
    """Run the programs of some pairs in one process."""
    first = pairs[numbers[0]]
    program = first.a if run == "a" else first.b
    alone = first.mode == "own"
    plan = work / "plans" / f"{run}-{numbers[0]}-{len(numbers)}.json"
    tasks = [task for n in numbers for task in _tasks(work, run, n, pairs[n])]
    plan.write_text(json.dumps({"tasks": tasks, "outcomes": str(outcomes)}))
    command = {
        "exec": ["-m", "tests.keys.differential.child", str(plan)],
        "script": [str(work / program.script)],
        "module": ["-m", program.script.removesuffix(".py").replace("/", ".")],
    }[program.launch]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "1" if run == "a" else "2",
        "PYTHONPATH": os.pathsep.join([*program.path, str(work), str(_ROOT)]).replace(
            "{work}", str(work)
        ),
        # A file that is written twice within a second keeps its compiled form.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",
        PLAN: str(plan),
        **(program.environment if alone else {}),
    }
    environment.pop("RESUMABLE_SEARCH_CHECKPOINT", None)
    log = plan.with_suffix(".log")
    with log.open("w") as file:
        interpreters.run(
            command,
            options=program.flags,
            cwd=work / ("first" if run == "a" else "second"),
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=3600,
        )


def judge(pair: Pair, seen: dict[str, Any]) -> Verdict:
    """Judge a pair by what was seen of its runs."""
    if not {"a", "b"} <= seen.keys():
        return Verdict(pair, "void", "a process died: see the logs of the plans")
    a, b, session = seen["a"], seen["b"], seen.get("session")
    truth = b["plain"]
    for what in (a.get("plain", {}), truth):
        if "error" in what:
            return Verdict(pair, "void", f"scikit-learn: {what['error']}")
    before = a.get("plain", a["ours"]).get("scores")
    if (before == truth["scores"]) != pair.reuse and pair.mode != "session":
        return Verdict(pair, "void", "A and B score alike, or should")
    compared = [("A", a["ours"], a.get("plain")), ("B", b["ours"], truth)]
    if session:
        compared.append(("B after A in one process", session["ours"], truth))
    for name, ours, plain in compared:
        if plain and "scores" in ours and ours["scores"] != plain.get("scores"):
            return Verdict(
                pair,
                "wrong",
                f"{name}: {_numbers(ours)} ({ours['n_resumed']} resumed), "
                f"scikit-learn {_numbers(plain)}",
            )
    for name, ours, _ in compared:
        if "error" in ours and not ours["can_travel"]:
            return Verdict(pair, "unsent", f"{name}: {ours['error']}")
        if "error" in ours:
            return Verdict(pair, "refused", f"{name}: {ours['error']}")
    if pair.reuse and b["ours"]["n_run"]:
        return Verdict(pair, "needless", f"{b['ours']['n_run']} folds")
    return Verdict(pair, "right")


def _numbers(outcome: dict[str, Any]) -> list[float]:
    return [float.fromhex(score) for score in outcome.get("scores", [])]
