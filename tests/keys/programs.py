"""Run small programs of a user's, each in a process of its own, and read their keys."""

import json
import os
from pathlib import Path

from tests.helpers import interpreters

PRELUDE = """
import json, sys
sys.path[:0] = {paths}
from resumable_search._keys.fingerprint import fingerprint
"""
EPILOGUE = """
print(json.dumps({key: fingerprint(value) for key, value in VALUES.items()}))
"""


def keys_of(folder, script, files=None, *, arguments=(), seed="0", options=()):
    """Write files beside a script, run it, and return the keys of its ``VALUES``."""
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    root = str(Path(__file__).parents[2])
    path = folder / "script.py"
    path.write_text(PRELUDE.format(paths=[str(folder), root]) + script + EPILOGUE)
    done = interpreters.run(
        [path, *arguments],
        options=("-W", "error", *options),
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
