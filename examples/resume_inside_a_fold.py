"""Estimators of your own that go on inside a fold after a kill.

    python examples/resume_inside_a_fold.py

``fold_directory()`` gives an estimator a directory for the fold that it is fitted
for. What it leaves there is found when the same fold runs again after a kill, and
removed when the fold is done. Outside of a resumable search it is None, and the
estimators work all the same.
"""

import os

import joblib
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import SGDClassifier

from resumable_search import ResumableGridSearchCV, fold_directory


def saved(default):
    """Give what an earlier try of this fold has saved, or the default."""
    folder = fold_directory()
    if folder is None or not (folder / "model").exists():
        return default
    return joblib.load(folder / "model")


def save(model):
    """Save a model so that a kill leaves the old file or the new one."""
    folder = fold_directory()
    if folder is not None:
        joblib.dump(model, folder / "model.new")
        os.replace(folder / "model.new", folder / "model")  # noqa: PTH105


class Boosting(ClassifierMixin, BaseEstimator):
    """Gradient boosting, saved every few trees: for what has ``warm_start``."""

    def __init__(self, n_estimators=60, learning_rate=0.1, save_every=10):
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.save_every = save_every

    def fit(self, X, y):
        self.model_ = saved(
            GradientBoostingClassifier(
                n_estimators=0,
                learning_rate=self.learning_rate,
                max_depth=2,
                warm_start=True,
                random_state=0,
            )
        )
        self.classes_ = np.unique(y)
        while self.model_.n_estimators < self.n_estimators:
            more = min(self.save_every, self.n_estimators - self.model_.n_estimators)
            self.model_.n_estimators += more
            self.model_.fit(X, y)
            save(self.model_)
        return self

    def predict(self, X):
        return self.model_.predict(X)


class Linear(ClassifierMixin, BaseEstimator):
    """A linear model, saved after every pass: for what has ``partial_fit``."""

    def __init__(self, n_passes=10, alpha=1e-4):
        self.n_passes = n_passes
        self.alpha = alpha

    def fit(self, X, y):
        start = SGDClassifier(alpha=self.alpha, random_state=0), 0
        self.model_, n_done = saved(start)
        self.classes_ = np.unique(y)
        for n_passes in range(n_done + 1, self.n_passes + 1):
            # An order that depends on the pass alone is the same after a kill.
            order = np.random.default_rng(n_passes).permutation(len(X))
            self.model_.partial_fit(X[order], y[order], classes=self.classes_)
            save((self.model_, n_passes))
        return self

    def predict(self, X):
        return self.model_.predict(X)


if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    for estimator, grid in [
        (Boosting(), {"learning_rate": [0.1, 0.3]}),
        (Linear(), {"alpha": [1e-4, 1e-2]}),
    ]:
        search = ResumableGridSearchCV(estimator, grid, cv=3, n_jobs=2)
        search.fit(X, y)
        print(f"{search.best_estimator_}: {search.best_score_:.3f}")
        done = search.resumption
        print(f"{done.n_resumed} folds resumed, {done.n_run} run")
