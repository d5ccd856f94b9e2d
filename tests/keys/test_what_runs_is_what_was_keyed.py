"""A worker runs what its parent has keyed, or the fold is not stored."""

import importlib
import os
import sys
import textwrap
import threading
import types

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from resumable_search import FingerprintError, ResumableGridSearchCV, WorkerError

X, Y = np.zeros((8, 1)), [0, 1] * 4

CONFIG = "VALUE = 1\nOTHER = [1]\n\n\nclass Sizes:\n    UNITS = 1\n"

# Reads a value in each way in which code reads one.
MODELS = """
    from sklearn.base import BaseEstimator

    import config
    from config import OTHER, VALUE, Sizes

    LIMIT = 1
    DERIVED = config.VALUE * 10


    def helper(value=1):
        return value


    class Base(BaseEstimator):
        UNITS = 1

        def __init__(self, read="attribute"):
            self.read = read

        def fit(self, X, y=None):
            self.value_ = getattr(self, "read_" + self.read)()
            return self

        def score(self, X, y=None):
            return float(self.value_)

        def read_attribute(self):
            return config.VALUE

        def read_copy(self):
            return VALUE

        def read_own(self):
            return LIMIT

        def read_derived(self):
            return DERIVED

        def read_container(self):
            return sum(OTHER)

        def read_class(self):
            return Sizes.UNITS + config.Sizes.UNITS

        def read_self(self):
            return self.UNITS

        def read_function(self):
            return helper()

        def read_environment(self):
            import os
            return int(os.environ.get("MY_UNITS", "1"))


    class Model(Base):
        pass
"""


@pytest.fixture
def user(tmp_path, monkeypatch):
    """Modules of the user's, by name; a method to write and import one."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    class User:
        path = tmp_path

        @staticmethod
        def write(name, text):
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
            importlib.invalidate_caches()

        @classmethod
        def module(cls, name, text):
            cls.write(name, text)
            return importlib.import_module(name)

    yield User
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def config(user):
    """Return the user's module of settings."""
    return user.module("config", CONFIG)


@pytest.fixture
def models(user, config):
    """Return the user's module with an estimator that reads them."""
    return user.module("models", MODELS)


def ours(estimator, grid=None, **parameters):
    """Return the score of the first candidate, and how many folds ran."""
    search = ResumableGridSearchCV(
        estimator, grid or {}, cv=2, refit=False, checkpoint="c.sqlite", **parameters
    )
    search.fit(X, Y)
    return search.cv_results_["mean_test_score"].tolist(), search.resumption.n_run


def theirs(estimator, grid=None):
    """Return scikit-learn's scores in this process."""
    search = GridSearchCV(estimator, grid or {}, cv=2, refit=False)
    return search.fit(X, Y).cv_results_["mean_test_score"].tolist()


def set_attribute(config, models):
    config.VALUE = 30


def set_copy(config, models):
    models.VALUE = 30


def set_own(config, models):
    models.LIMIT = 30


def set_derived(config, models):
    config.VALUE = 30
    models.DERIVED = 300


def change_container(config, models):
    config.OTHER.append(29)


def set_in_class(config, models):
    config.Sizes.UNITS = 30


def set_in_base(config, models):
    models.Base.UNITS = 30


def set_in_model(config, models):
    models.Model.UNITS = 30


def patch_function(config, models):
    limit = 30
    models.helper = lambda: limit


def patch_method(config, models):
    models.Base.read_attribute = lambda self: 30


def patch_class(config, models):
    class Sizes:
        UNITS = 15

    config.Sizes = models.Sizes = Sizes


CHANGES = [
    ("attribute", set_attribute),
    pytest.param("copy", set_copy, marks=pytest.mark.slow),
    pytest.param("own", set_own, marks=pytest.mark.slow),
    pytest.param("derived", set_attribute, marks=pytest.mark.slow),
    ("derived", set_derived),
    ("container", change_container),
    ("class", set_in_class),
    pytest.param("class", patch_class, marks=pytest.mark.slow),
    pytest.param("self", set_in_base, marks=pytest.mark.slow),
    ("self", set_in_model),
    ("function", patch_function),
    ("attribute", patch_method),
]


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("read", "change"), CHANGES)
def test_what_the_script_sets_in_a_module_runs_in_workers(read, change, config, models):
    """The scores are scikit-learn's, in new workers and in those of an earlier fit."""
    estimator = models.Model(read)
    default = theirs(estimator)
    assert ours(estimator) == (default, 2)
    change(config, models)
    changed = theirs(estimator)
    assert ours(estimator) == (changed, 2)
    assert ours(estimator) == (changed, 0)


@pytest.mark.parametrize("change", [set_attribute, patch_method])
def test_a_new_worker_is_given_what_the_script_has_set(change, config, models):
    """A worker that has never had the default value has that of the script."""
    change(config, models)
    estimator = models.Model()
    assert ours(estimator) == (theirs(estimator), 2) == ([30.0], 2)


def test_a_value_that_is_set_back_is_set_back_in_workers(config, models):
    """A worker does not keep the value of an earlier fit."""
    config.VALUE = 30
    assert ours(models.Model())[0] == [30.0]
    config.VALUE = 1
    assert ours(models.Model()) == ([1.0], 2)


def test_what_only_a_candidate_reaches_is_given_to_workers(config, models, user):
    """A function in the grid reads what the script has set in its module."""
    steps = user.module("steps", "FACTOR = 1\n\ndef scale():\n    return FACTOR\n")
    text = """
        from sklearn.base import BaseEstimator

        class Calls(BaseEstimator):
            def __init__(self, function=None):
                self.function = function

            def fit(self, X, y=None):
                return self

            def score(self, X, y=None):
                return float(self.function())
    """
    calls = user.module("calls", text)
    steps.FACTOR = 7
    grid = {"function": [lambda: 3, steps.scale]}
    assert ours(calls.Calls(), grid)[0] == theirs(calls.Calls(), grid) == [3.0, 7.0]


def test_a_class_set_in_a_module_is_that_of_other_objects(user):
    """What comes to a fold in several ways has one class there."""
    text = """
        from sklearn.base import BaseEstimator

        class Size:
            pass

        class Asks(BaseEstimator):
            def __init__(self, size=None, n=0):
                self.size = size
                self.n = n

            def fit(self, X, y=None):
                return self

            def score(self, X, y=None):
                return float(isinstance(self.size, Size))
    """
    asks = user.module("asks", text)

    class Size:
        pass

    asks.Size = Size
    assert ours(asks.Asks(Size()), {"n": [0, 1]}, n_jobs=1)[0] == [1.0, 1.0]


def test_each_fold_has_the_values_of_the_script(user):
    """What a fold does to an object in a module is not there in the next fold."""
    text = """
        from sklearn.base import BaseEstimator

        seen = []
        options = {"n": 0}
        total = 0


        def note(seen=[]):
            seen.append(1)
            return len(seen)


        class Counts(BaseEstimator):
            def __init__(self, n=0):
                self.n = n

            def fit(self, X, y=None):
                seen.append(1)
                global total
                total += 1
                options["n"] += 1
                self.n_ = note()
                return self

            def score(self, X, y=None):
                return len(seen) + 10.0 * options["n"] + 100 * self.n_ + 1000 * total
    """
    counts = user.module("counts", text)
    counts.seen.append(1)
    counts.note()
    scores, _ = ours(counts.Counts(), {"n": [1, 2, 3]}, n_jobs=1)
    assert scores == [1212.0, 1212.0, 1212.0]


@pytest.mark.parametrize("change", ["number", "shape", "dtype", "array"])
def test_a_large_array_in_a_module_is_in_each_fold_as_it_was(change, user):
    """Whether a fold changes a number of it, its shape, its type or sets another."""
    text = """
        import warnings

        import numpy as np
        from sklearn.base import BaseEstimator

        table = np.zeros(400_000)


        class Reads(BaseEstimator):
            def __init__(self, change=None):
                self.change = change

            def fit(self, X, y=None):
                global table
                self.read_ = table.sum() + 10 * table.ndim + 100 * (table.dtype == "f8")
                if self.change == "number":
                    table[-1] = 5
                elif self.change in ("shape", "dtype"):
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")  # numpy 2.5 deprecates both
                        value = (2, -1) if self.change == "shape" else np.int64
                        setattr(table, self.change, value)
                elif self.change == "array":
                    table = np.full(400_000, 7.0)
                return self

            def score(self, X, y=None):
                return float(self.read_)
    """
    tables = user.module("tables", text)
    scores, _ = ours(tables.Reads(), {"change": [change, None]}, n_jobs=1)
    assert scores == [110.0, 110.0]


def test_a_value_that_cannot_be_put_back_is_new_in_a_new_worker(user):
    """Another worker runs the next fold."""
    text = """
        from sklearn.base import BaseEstimator

        class Stays:
            def __init__(self):
                self.n = 0

            def __resumable_search_key__(self):
                return self.n

            def __reduce__(self):
                raise TypeError("not to be sent")

        stays = Stays()

        class Counts(BaseEstimator):
            def fit(self, X, y=None):
                stays.n += 1
                return self

            def score(self, X, y=None):
                return float(stays.n)
    """
    counts = user.module("counts", text)
    assert ours(counts.Counts(), n_jobs=1)[0] == [1.0]


EDITED = "        return VALUE + 100  # edited\n"


def edit(user):
    text = textwrap.dedent(MODELS).replace("        return VALUE\n", EDITED)
    user.write("models", text)


def test_an_edited_module_that_was_not_reloaded_is_an_error(user, models):
    """The parent's code is not what a new worker would run."""
    edit(user)
    with pytest.raises(WorkerError, match=r"models\.Base\.read_copy' of .*models\.py"):
        ours(models.Model("copy"))
    importlib.reload(models)
    assert ours(models.Model("copy")) == ([101.0], 2)


def test_resting_workers_go_on_with_the_code_of_the_parent(user, models):
    """They have what the parent has, whatever is in the file by now."""
    assert ours(models.Model("copy"))[0] == [1.0]
    edit(user)
    assert ours(models.Model("copy"), {"read": ["copy", "own"]})[0] == [1.0, 1.0]


def test_a_reloaded_module_is_not_run_by_resting_workers(user, models):
    """They have the old code, so that others take their place."""
    assert ours(models.Model("copy"))[0] == [1.0]
    edit(user)
    importlib.reload(models)
    assert ours(models.Model("copy")) == ([101.0], 2)


def test_code_that_is_changed_in_place_runs_in_new_workers(user, models):
    """IPython's autoreload puts new code into old functions."""
    assert ours(models.Model("copy"))[0] == [1.0]
    edit(user)
    space = {}
    exec((user.path / "models.py").read_text(), space)
    models.Base.read_copy.__code__ = space["Base"].read_copy.__code__
    assert ours(models.Model("copy")) == ([101.0], 2)


def test_code_in_place_that_no_file_has_is_an_error(models):
    """No worker can import it."""
    models.helper.__code__ = (lambda value: value + 5).__code__
    with pytest.raises(WorkerError, match=r"'models\.helper'"):
        ours(models.Model("function"))


def test_an_edit_that_changes_no_code_is_no_difference(user, models):
    """A module may be touched, reformatted and commented while a search is on."""
    assert ours(models.Model("copy"))[1] == 2
    text = textwrap.dedent(MODELS)
    user.write("models", "# A comment.\n\n\n" + text.replace('"read_" +', "'read_'  +"))
    grid = {"read": ["copy", "own"]}
    assert ours(models.Model(), grid, n_jobs=1)[0] == [1.0, 1.0]


def test_an_edit_of_what_is_not_reached_is_no_difference(user, models):
    """Other functions of the module do not matter."""
    text = textwrap.dedent(MODELS) + "\n\ndef another():\n    return 2\n"
    user.write("models", text)
    assert ours(models.Model()) == ([1.0], 2)


def test_a_value_that_cannot_travel_is_an_error_with_its_path(config, user):
    """The message names it, and what it is here and there."""
    text = """
        import config
        from sklearn.base import BaseEstimator

        class Connection:
            def __init__(self, address):
                self.address = address

            def __resumable_search_key__(self):
                return self.address

            def __reduce__(self):
                raise TypeError("not to be sent")

        connection = Connection("default")

        class Model(BaseEstimator):
            def fit(self, X, y=None):
                return self

            def score(self, X, y=None):
                return float(len(connection.address))
    """
    module = user.module("connecting", text)
    assert ours(module.Model())[0] == [7.0]
    module.connection = module.Connection("mine")
    with pytest.raises(WorkerError, match=r"'connecting\.connection'"):
        ours(module.Model())
    module.connection = module.Connection("default")
    assert ours(module.Model()) == ([7.0], 0)


INSIDE = """
    from sklearn.base import BaseEstimator

    class Imports(BaseEstimator):
        def __init__(self, n=0):
            self.n = n

        def fit(self, X, y=None):
            return self

        def score(self, X, y=None):
            from inside import value
            return value()
"""


def test_a_module_imported_in_a_function_may_be_edited_between_fits(user):
    """Resting workers have the old one, so that others take their place."""
    user.write("inside", "def value():\n    return 1.0\n")
    imports = user.module("imports", INSIDE)
    assert ours(imports.Imports()) == ([1.0], 2)
    user.write("inside", "def value():\n    return 77.0  # edited\n")
    assert ours(imports.Imports()) == ([77.0], 2)
    assert ours(imports.Imports()) == ([77.0], 0)


def test_a_module_imported_in_a_function_may_be_reformatted(user):
    """What does the same is the same."""
    user.write("inside", "def value():\n    return 1.0\n")
    imports = user.module("imports", INSIDE)
    assert ours(imports.Imports(), {"n": [0]}, n_jobs=1) == ([1.0], 2)
    user.write("inside", "# A comment.\ndef value():\n\n    return 1.0\n")
    assert ours(imports.Imports(), {"n": [0, 1]}, n_jobs=1) == ([1.0, 1.0], 2)


def test_a_module_edited_by_the_search_is_an_error(user):
    """A fold that imports it after the edit is not stored."""
    user.write("inside", "def value():\n    return 1.0\n")
    imports = user.module("imports", INSIDE)
    edits = "def value():\n    return 77.0  # edited\n"

    class Edits(imports.Imports):
        def fit(self, X, y=None):
            import pathlib

            if pathlib.Path("inside.py").read_text() != edits:
                pathlib.Path("inside.py").write_text(edits)
            return self

    with pytest.raises(WorkerError, match=r"inside\.py"):
        ours(Edits(), n_jobs=1)
    assert ours(Edits(), n_jobs=1) == ([77.0], 2)


def test_environment_variables_of_the_script_hold_in_workers(models, monkeypatch):
    """They are those of the time of the fit."""
    estimator = models.Model("environment")
    monkeypatch.setenv("MY_UNITS", "5")
    assert ours(estimator)[0] == theirs(estimator) == [5.0]
    os.unlink("c.sqlite")  # noqa: PTH108 - environment variables have no key
    monkeypatch.setenv("MY_UNITS", "6")
    assert ours(estimator)[0] == theirs(estimator) == [6.0]


OBJECT = """
    import types

    SETTINGS = types.SimpleNamespace(rate=1, started=0)
"""

READS_OBJECT = """
    from sklearn.base import BaseEstimator

    import settings
    from settings import SETTINGS

    class Copied(BaseEstimator):
        def fit(self, X, y=None):
            return self

        def score(self, X, y=None):
            return float(SETTINGS.rate)

    class Named(Copied):
        def score(self, X, y=None):
            return float(settings.SETTINGS.rate)

    class Held:
        def __init__(self):
            self.rate, self.started = 1, 0

        def twice(self):
            return HELD.rate * 2 + OTHER.rate

    class Other(Held):
        def twice(self):
            return HELD.rate

    HELD, OTHER = Held(), Other()

    class Singleton(Copied):
        def score(self, X, y=None):
            return float(HELD.rate + OTHER.rate)

    class Shown(Copied):
        def score(self, X, y=None):
            return float(sum(vars(SETTINGS).values()))
"""


@pytest.fixture
def settings(user):
    """Return the user's module with an object of settings."""
    return user.module("settings", OBJECT)


@pytest.mark.parametrize("name", ["Copied", "Named"])
def test_an_attribute_that_code_does_not_read_runs_nothing_again(user, settings, name):
    """Of an object in a module; one that it reads does, and workers have its value."""
    model = getattr(user.module("reads", READS_OBJECT), name)()
    assert ours(model) == ([1.0], 2)
    settings.SETTINGS.started = 99
    assert ours(model) == ([1.0], 0)
    settings.SETTINGS.rate = 30
    assert ours(model) == (theirs(model), 2)
    settings.SETTINGS = types.SimpleNamespace(rate=7, started=3)
    assert ours(model) == (theirs(model), 2 if name == "Named" else 0)


def test_objects_whose_methods_read_them_by_their_names_have_keys(user, settings):
    """Their own, and each other's."""
    reads = user.module("reads", READS_OBJECT)
    assert ours(reads.Singleton()) == ([2.0], 2)
    reads.HELD.started = reads.OTHER.started = 99
    assert ours(reads.Singleton()) == ([2.0], 0)
    reads.OTHER.rate = 30
    assert ours(reads.Singleton()) == ([31.0], 2)


def test_an_object_in_a_module_counts_whole_where_code_may_read_all(user, settings):
    """It is handed on."""
    model = user.module("reads", READS_OBJECT).Shown()
    assert ours(model) == ([1.0], 2)
    settings.SETTINGS.started = 99
    assert ours(model) == (theirs(model), 2)


def test_an_object_in_a_module_needs_a_key_as_a_whole(user, settings):
    """A worker could not tell whether it has the same one."""
    model = user.module("reads", READS_OBJECT).Copied()
    settings.SETTINGS.lock = threading.Lock()
    with pytest.raises(FingerprintError, match="SETTINGS"):
        ours(model)
