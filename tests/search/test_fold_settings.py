"""In each fold the settings of Python and of libraries are those of the parent."""

import decimal
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from resumable_search import ResumableGridSearchCV, _settings
from tests.search.test_fold_seeds import scores


def set_numpy(X):
    raises = np.geterr()["over"] == "raise"
    np.seterr(over="raise")
    return float(raises)


def set_decimal(X):
    precision = decimal.getcontext().prec
    decimal.getcontext().prec = 5
    return float(precision)


def set_recursion_limit(X):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 100)
    return float(limit)


def set_pandas(X):
    import pandas as pd

    used = pd.get_option("compute.use_bottleneck")
    pd.set_option("compute.use_bottleneck", not used)
    return float(used)


def set_path(X):
    sys.path.append("/nowhere")
    sys.argv = [*sys.argv, "--more"]
    return float(sys.path.count("/nowhere") + sys.argv.count("--more"))


@pytest.mark.parametrize(
    "function", [set_numpy, set_decimal, set_recursion_limit, set_pandas, set_path]
)
def test_what_a_fold_sets_is_put_back(function):
    """A fold has no setting that another one has made."""
    assert len(set(scores(function))) == 1


def test_what_the_script_has_set_holds_in_workers():
    """NumPy's, pandas' and decimal's are the parent's."""

    def function(X):
        import pandas as pd

        return float(
            (np.geterr()["over"] == "raise")
            + (decimal.getcontext().prec == 7)
            + (not pd.get_option("compute.use_bottleneck"))
            + (np.get_printoptions()["precision"] == 3)
        )

    with (
        np.errstate(over="raise"),
        decimal.localcontext(prec=7),
        pd.option_context("compute.use_bottleneck", False),
        np.printoptions(precision=3),
    ):
        assert set(scores(function)) == {4.0}
    assert set(scores(function, checkpoint="other.sqlite")) == {0.0}


def test_warnings_as_errors_hold_in_workers():
    """What the parent takes for an error is one in a fold."""

    def function(X):
        with warnings.catch_warnings(record=True):
            try:
                warnings.warn("text", FutureWarning, stacklevel=1)
            except FutureWarning:
                return 1.0
        return 0.0

    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        assert set(scores(function)) == {1.0}


def test_what_a_module_sets_when_a_fold_imports_it_holds_on(tmp_path, monkeypatch):
    """A module that a fold imports is not imported again, so its settings stay."""
    (tmp_path / "sets_errors.py").write_text(
        "import numpy as np\nnp.seterr(over='raise')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def function(X):
        import sets_errors  # noqa: F401

        return float(np.geterr()["over"] == "raise")

    assert set(scores(function)) == {1.0}


def test_keras_settings_hold_and_are_put_back():
    """Floatx and policy are the parent's in each fold, whatever a fold has set."""
    keras = pytest.importorskip("keras")

    def function(X):
        import keras

        found = (keras.config.floatx(), keras.config.dtype_policy().name)
        registered = "Mine" in keras.saving.get_custom_objects()
        keras.config.set_floatx("float16")
        keras.config.set_dtype_policy("mixed_float16")
        keras.saving.get_custom_objects()["Mine"] = object
        return float((found == ("float64", "mixed_bfloat16")) and not registered)

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert set(scores(function, n=2)) == {1.0}
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def test_settings_that_change_nothing_do_not_count():
    """A setting is keyed where it is set to what can change a score."""
    assert _settings.numeric_settings() == {}
    with np.errstate(over="ignore", divide="print"):
        assert _settings.numeric_settings() == {}
    with np.errstate(over="raise"):
        assert _settings.numeric_settings() == {"numpy: geterr()": {"over": "raise"}}
    with decimal.localcontext(prec=7):
        assert list(_settings.numeric_settings()) == ["decimal: getcontext()"]


def test_all_settings_can_be_put_back():
    """Reading and writing agree for each setting of what is imported."""
    before = _settings.current()
    assert before
    _settings.put_back(dict(before))
    assert _settings.current() == before


def test_scores_under_other_settings_are_not_reused(data):
    """Where errors of numpy are raised a fold is another, and the same again there."""

    def n_run():
        search = ResumableGridSearchCV(DummyClassifier(), {}, cv=2)
        return search.fit(*data).resumption.n_run

    assert n_run() == 2
    with np.errstate(over="raise"):
        assert [n_run(), n_run()] == [2, 0]
    with np.errstate(over="ignore"):
        assert n_run() == 0
