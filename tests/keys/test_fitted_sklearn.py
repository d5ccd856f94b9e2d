"""Fitted estimators of scikit-learn have the same key in every process."""

import pytest

from .processes import keys_in_new_process

CODE = """
import os, warnings
import numpy as np
from sklearn.base import RegressorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.utils import all_estimators

warnings.simplefilter("ignore")
NAMES = {names!r}
data = np.random.RandomState(0)
X = np.abs(data.normal(size=(40, 4)))
y = (X[:, 0] > X[:, 0].mean()).astype(int)
numbers = X[:, :2] + 0.5
texts = ["a good film", "the bad film", "so good", "an awful one"] * 10
other = [texts, [dict(a=1, b=2), dict(a=3, c=4)], [[1, 2], [3]]]
used = os.environ["PYTHONHASHSEED"] == "1"


def fitted(estimator):
    target = numbers[:, 0] if isinstance(estimator, RegressorMixin) else y
    choices = [(X, target), (X, numbers),
               (X, np.c_[y, 1 - y]), (y, None), (X[:, 0], y), (X @ X.T, y)]
    choices += [(each, None) for each in other]
    for choice in choices:
        try:
            model = clone(estimator).fit(*choice)
        except Exception:
            continue
        if used:  # later use leaves counters and caches behind
            for method in ("transform", "predict", "score_samples"):
                try:
                    getattr(model, method)(choice[0])
                except Exception:
                    pass
        return model


inner = LogisticRegression()
made = [
    GridSearchCV(inner, dict(C=[1, 2]), cv=2),
    RandomizedSearchCV(inner, dict(C=[1, 2]), n_iter=2, random_state=0, cv=2),
]
for name, cls in all_estimators():
    if not name.endswith("SearchCV") and (NAMES is None or name in NAMES):
        try:
            made.append(cls())
        except TypeError:
            try:
                made.append(cls(inner))
            except Exception:
                continue
        parameters = made[-1].get_params()
        if "random_state" in parameters:
            made[-1].set_params(random_state=0)
        if name in ("CountVectorizer", "TfidfVectorizer"):
            made[-1].set_params(stop_words="english")
values = dict()
for number, estimator in enumerate(made):
    model = fitted(estimator)
    if model is not None:
        values[type(estimator).__name__ + str(number)] = model
"""

QUICK = [
    "CountVectorizer",
    "GaussianProcessClassifier",
    "GaussianProcessRegressor",
    "HistGradientBoostingClassifier",
    "KNeighborsClassifier",
    "KernelDensity",
    "MultiLabelBinarizer",
    "RandomForestClassifier",
    "SVC",
    "StandardScaler",
    "TfidfVectorizer",
]


@pytest.mark.parametrize(
    "names", [QUICK, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_equal_fits_have_equal_keys_in_every_process(tmp_path, names):
    """Whatever the hash seed, and whether the model was used since it was fitted."""
    code = CODE.replace("{names!r}", repr(names))
    one, used = (keys_in_new_process(tmp_path, code, seed) for seed in (0, 1))
    assert {name for name in one if one[name] != used.get(name)} == set()
    assert len(one) >= (100 if names is None else len(names))
