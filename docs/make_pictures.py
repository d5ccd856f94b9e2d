"""Make the pictures of pictures.md: python docs/make_pictures.py.

Runs ``examples/pictures.py``, kills it in the middle, waits, and runs it again.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from resumable_search import CheckpointError, read_results

DOCS = Path(__file__).parent
EXAMPLE = DOCS.parent / "examples" / "pictures.py"
COMMAND = [sys.executable, str(EXAMPLE)]

with tempfile.TemporaryDirectory() as directory:
    place = Path(directory)
    first = subprocess.Popen(COMMAND, cwd=place)
    n_completed = 0
    while n_completed < 120:
        time.sleep(0.2)
        try:
            n_completed = read_results(place / "pictures.sqlite")["n_completed"].sum()
        except CheckpointError:  # it is not there yet
            continue
    first.kill()
    first.wait()
    time.sleep(20)
    subprocess.run(COMMAND, cwd=place, check=True)
    (DOCS / "pictures").mkdir(exist_ok=True)
    for picture in place.glob("*.png"):
        picture.rename(DOCS / "pictures" / picture.name)
