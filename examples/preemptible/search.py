"""A search for a machine that may be taken away at any moment.

    python search.py

Run it again until its exit status is 0:

- 0: finished; the results are in results.json, beside the checkpoint.
- 128 + number of the signal (143 for SIGTERM): it was stopped. Run it again.
- 1: an error, with its traceback. Run again, it goes on from there; if the error
  comes back, it wants mending.
"""

import json
import os
import sys

from sklearn.datasets import load_digits
from sklearn.svm import SVC

from resumable_search import ResumableGridSearchCV, SearchInterrupted

X, y = load_digits(return_X_y=True)

search = ResumableGridSearchCV(
    SVC(),
    {"C": [0.1, 1, 10, 100], "gamma": [1e-4, 3e-4, 1e-3, 3e-3]},
    cv=5,
    n_jobs=2,
    verbose=1,
    # Seconds that running folds get to finish when the machine is taken. What stops
    # this process must wait longer than that before it kills.
    grace_period=float(os.environ.get("GRACE_PERIOD", "10")),
)

try:
    search.fit(X, y)
except SearchInterrupted as stopped:
    print(stopped, file=sys.stderr)
    # Ctrl-C and "quit" count as SIGINT, number 2.
    sys.exit(128 + (stopped.signum or 2))

results = {
    "best_params": search.best_params_,
    "best_score": float(search.best_score_),
}
place = search.resumption.checkpoint.with_name("results.json")
place.write_text(json.dumps(results, indent=2) + "\n")
print(f"finished: {results}, in {place}")
