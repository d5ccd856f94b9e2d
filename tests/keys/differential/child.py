"""What runs in the processes: the searches of a plan, resumable and plain."""

import importlib
import json
import os
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV

from resumable_search import ResumableGridSearchCV

#: The environment variable with the plan's path, for scripts that run by themselves.
PLAN = "DIFFERENTIAL_PLAN"


def _scores(search: Any) -> list[str]:
    """Give each fold's score, to the bit and with NaN equal to NaN."""
    results = search.cv_results_
    return [
        float(score).hex()
        for name in sorted(results)
        if name.startswith("split") and "_test_" in name
        for score in results[name]
    ]


def _run(program: dict[str, Any], checkpoint: str | None, options: Any) -> Any:
    """Run one search and give what is judged of it."""
    asked = {
        "X": np.arange(12.0).reshape(6, 2),
        "y": np.array([0, 1] * 3),
        "fit_params": {},
        "cv": 2,
        **program,
    }
    X, y, fit_params = (asked.pop(name) for name in ("X", "y", "fit_params"))
    estimator, grid = asked.pop("estimator"), asked.pop("grid")
    options = {"refit": False, "error_score": "raise", **asked, **options}
    if checkpoint is None:
        common = ("cv", "refit", "scoring", "error_score", "n_jobs")
        plain = {k: v for k, v in options.items() if k in common}
        search = GridSearchCV(estimator, grid, **plain)
        return {"scores": _scores(search.fit(X, y, **fit_params))}
    search = ResumableGridSearchCV(estimator, grid, checkpoint=checkpoint, **options)
    search.fit(X, y, **fit_params)
    done = search.resumption
    return {
        "scores": _scores(search),
        "n_run": done.n_run,
        "n_resumed": done.n_resumed,
    }


def _tried(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Exception as exc:  # it is what is judged
        while exc.__cause__ is not None and "All the" in str(exc):
            exc = exc.__cause__
        return {"error": f"{type(exc).__name__}: {exc}"[:1500]}


def _judge(outcome: Any, program: Callable[[], Any], task: Any, options: Any) -> None:
    """Run a program both ways."""
    ours = _tried(lambda: _run(program(), task["checkpoint"], options))
    if "error" in ours:
        # What scikit-learn's own workers can run is what ours should.
        there = _tried(lambda: _run(program(), None, {"n_jobs": 2}))
        here = _tried(lambda: _run(program(), None, {}))
        ours["can_travel"] = there == here and "scores" in here
    outcome["ours"] = ours
    if task["truth"]:
        outcome["plain"] = _tried(lambda: _run(program(), None, {}))


def _main_module(script: str) -> types.ModuleType:
    """Run a script as Python does, but in this process."""
    module = types.ModuleType("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    source = Path(script).read_text(encoding="utf-8")
    exec(compile(source, script, "exec"), module.__dict__)
    return module


def _reload(prefix: str) -> None:
    """Do what `%autoreload` does after an edit of the program's modules."""
    importlib.invalidate_caches()
    names = [name for name in sys.modules if name.startswith(prefix)]
    for name in sorted(names, key=lambda n: (n.endswith("_code"), "_outer" in n, n)):
        module = sys.modules[name]
        if getattr(module, "__spec__", None) is not None:
            importlib.reload(module)


def _task(task: dict[str, Any]) -> dict[str, Any]:
    """Run one program: resumable, and where it is the truth, plain."""
    options = task["search"]
    outcome: dict[str, Any] = {"pair": task["pair"], "run": task["run"]}

    def program() -> Any:
        return _main_module(task["script"]).__dict__["program"]()

    _judge(outcome, program, task, options)
    return outcome


def main(plan: str) -> None:
    """Run the tasks of a plan; write a line of JSON for each."""
    asked = json.loads(Path(plan).read_text(encoding="utf-8"))
    warnings.simplefilter("ignore")
    with Path(asked["outcomes"]).open("a", encoding="utf-8") as file:
        for task in asked["tasks"]:
            for path, text in task["write"].items():
                Path(path).write_text(text, encoding="utf-8")
            if task["write"]:
                _reload(task["prefix"])
            file.write(json.dumps(_task(task)) + "\n")
            file.flush()


def report(program: Callable[[], Any]) -> None:
    """Do what `main` does, for a script that was started by itself."""
    plan = json.loads(Path(os.environ[PLAN]).read_text(encoding="utf-8"))
    warnings.simplefilter("ignore")
    (task,) = plan["tasks"]
    options = task["search"]
    outcome = {"pair": task["pair"], "run": task["run"]}
    _judge(outcome, program, task, options)
    with Path(plan["outcomes"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
