"""Keys across versions of Python, NumPy, pandas and scikit-learn.

The keys in ``golden_keys.json`` are those of every version that the tests run with.
"""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.metrics._scorer import _BaseScorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from resumable_search._keys.fingerprint import fingerprint
from resumable_search._sklearn_compat.parameter_changes import without_usual

from . import golden_values

# Before NumPy 2, a copy of a generator draws another seed sequence.
VARIES = {"generator"} if np.lib.NumpyVersion(np.__version__) < "2.0.0" else set()


@pytest.fixture(scope="module")
def keys():
    return golden_values.keys()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", sorted(set(golden_values.VALUES) - VARIES))
def test_key_is_that_of_all_versions(keys, name):
    """An upgrade of Python or of a library leaves the key of the same value alone."""
    known = json.loads(golden_values.FILE.read_text())
    assert keys[name] == known[name], "see golden_values.py for how keys may change"


def test_scorers_differ_by_what_they_compute():
    """Function, sign, arguments, response method and attributes of one's own count."""

    class Own(_BaseScorer):
        def __init__(self, weight):
            super().__init__(accuracy_score, 1, {}, "predict")
            self.weight = weight

    scorers = [
        make_scorer(accuracy_score),
        make_scorer(accuracy_score, greater_is_better=False),
        make_scorer(accuracy_score, normalize=False),
        make_scorer(accuracy_score, response_method="predict_proba"),
        make_scorer(accuracy_score, response_method=["predict", "predict_proba"]),
        make_scorer(abs),
        Own(1),
        Own(2),
    ]
    keys = {fingerprint(scorer) for scorer in scorers}
    assert len(keys) == len(scorers)
    assert fingerprint(make_scorer(accuracy_score)) == fingerprint(scorers[0])


@pytest.mark.parametrize(
    ("estimator", "changed"),
    [
        (SVC(), {"probability": True}),
        (make_pipeline(StandardScaler()), {"transform_input": ["sample_weight"]}),
        (LogisticRegression(), {"penalty": "l1"}),
        (LogisticRegression(), {"l1_ratio": 0.5}),
        (LogisticRegression(), {"penalty": "elasticnet", "l1_ratio": 0.5}),
        (LogisticRegression(penalty="l2"), {"penalty": None}),
    ],
)
def test_parameters_that_are_set_count(estimator, changed):
    """Only values that do what is done without the parameter are left out."""
    if not set(changed) <= set(estimator.get_params()):
        pytest.skip("this version does not have the parameter")
    before = fingerprint(estimator, cloned=True)
    estimator.set_params(**changed)
    assert fingerprint(estimator, cloned=True) != before


def test_classes_of_ones_own_keep_all_parameters():
    """A class with the name of one of scikit-learn's is another class."""

    class Pipeline:
        pass

    assert without_usual(Pipeline(), {"transform_input": None}) == {
        "transform_input": None
    }
