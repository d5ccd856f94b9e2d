"""Keys of the same values in other processes."""

import json
import os
from pathlib import Path

from tests.helpers import interpreters

_ROOT = Path(__file__).parents[2]


def keys_in_new_process(folder, code, seed):
    """Run code that makes a dict `values`, and return the keys of its values."""
    script = folder / f"values_{seed}.py"
    script.write_text(
        f"{code}\n"
        "import json\n"
        "from resumable_search._keys.fingerprint import fingerprint\n"
        "print(json.dumps({name: fingerprint(values[name]) for name in values}))\n"
    )
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    done = interpreters.run(
        [script],
        env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
