"""A search over a scikit-learn estimator: only the import differs.

    python examples/digits_sklearn.py

Run it twice: the second time, every fold comes from the checkpoint.
"""

from sklearn.datasets import load_digits
from sklearn.svm import SVC

from resumable_search import ResumableGridSearchCV

X, y = load_digits(return_X_y=True)
param_grid = {"C": [0.1, 1, 10, 100], "gamma": [1e-4, 1e-3, 1e-2]}

search = ResumableGridSearchCV(SVC(), param_grid, cv=5, n_jobs=2)
search.fit(X, y)
print(f"{search.best_params_} {search.best_score_:.3f}")
print(f"{search.resumption.n_resumed} folds resumed, {search.resumption.n_run} run")
