"""Keys within one process: what is equal, what is not, what has no key."""

import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import json
import logging
import operator
import os
import pathlib
import random
import re
import subprocess
import sys
import threading
import uuid

import numpy as np
import pytest
import scipy.sparse
import scipy.stats
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer, make_scorer
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from resumable_search._exceptions import FingerprintError
from resumable_search._keys import buffers
from resumable_search._keys import handlers as _key_handlers
from resumable_search._keys.encoding import node
from resumable_search._keys.fingerprint import (
    digest,
    fingerprint,
    parameter_table,
    register_key,
    summarize,
)
from resumable_search._keys.walk import Walk


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Point:
    x: int = 1
    tags: list = dataclasses.field(default_factory=list)


Pair = collections.namedtuple("Pair", "a b")


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


class Plain:
    def __init__(self, value):
        self.value = value


class Doubler(TransformerMixin, BaseEstimator):
    def __init__(self, factor=2):
        self.factor = factor

    def fit(self, X, y=None, sample_weight=None):
        self.seen_ = len(X)
        return self

    def transform(self, X):
        return X * self.factor


def add(x, y=1):
    return x + y


# One maker per line; all of these must differ from each other.
DISTINCT = {
    "None": lambda: None,
    "True": lambda: True,
    "1": lambda: 1,
    "1.0": lambda: 1.0,
    "float32": lambda: np.float32(1.0),
    "int32": lambda: np.int32(1),
    "0.0": lambda: 0.0,
    "-0.0": lambda: -0.0,
    "nan": lambda: float("nan"),
    "'1'": lambda: "1",
    "b'1'": lambda: b"1",
    "bytearray": lambda: bytearray(b"1"),
    "complex": lambda: 1 + 0j,
    "huge": lambda: 10**5000,
    "ellipsis": lambda: ...,
    "empty list": list,
    "empty tuple": lambda: (),
    "empty dict": dict,
    "empty set": set,
    "frozenset": frozenset,
    "[[1],2]": lambda: [[1], 2],
    "[1,[2]]": lambda: [1, [2]],
    "['ab','c']": lambda: ["ab", "c"],
    "['a','bc']": lambda: ["a", "bc"],
    "range": lambda: range(3),
    "slice": lambda: slice(3),
    "enum": lambda: Colour.RED,
    "enum 2": lambda: Colour.BLUE,
    "enum class": lambda: Colour,
    "path": lambda: pathlib.Path("a/b"),
    "datetime": lambda: dt.datetime(2020, 1, 1),
    "datetime utc": lambda: dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    "date": lambda: dt.date(2020, 1, 1),
    "timedelta": lambda: dt.timedelta(1),
    "decimal": lambda: decimal.Decimal("1.0"),
    "fraction": lambda: fractions.Fraction(1),
    "uuid": lambda: uuid.UUID(int=1),
    "pattern": lambda: re.compile("a"),
    "pattern flags": lambda: re.compile("a", re.IGNORECASE),
    "dataclass": Point,
    "dataclass 2": lambda: Point(2),
    "namedtuple": lambda: Pair(1, 2),
    "slots": lambda: Slots(1),
    "slots 2": lambda: Slots(2),
    "instance": lambda: Plain([1]),
    "instance 2": lambda: Plain([2]),
    "deque": lambda: collections.deque([1]),
    "defaultdict": lambda: collections.defaultdict(list, a=1),
    "counter": lambda: collections.Counter("a"),
    "ordered": lambda: collections.OrderedDict(a=1, b=2),
    "ordered other": lambda: collections.OrderedDict(b=2, a=1),
    "itemgetter": lambda: operator.itemgetter(1),
    "partial": lambda: functools.partial(add, y=2),
    "partial 2": lambda: functools.partial(add, y=3),
    "function": lambda: add,
    "lambda": lambda: lambda x: x,
    "builtin": lambda: len,
    "bound builtin": lambda: [].append,
    "method descriptor": lambda: str.lower,
    "ufunc": lambda: np.log,
    "ufunc 2": lambda: np.exp,
    "numpy function": lambda: np.mean,
    "module": lambda: np.random,
    "dtype": lambda: np.dtype("f4"),
    "dtype 2": lambda: np.dtype("f8"),
    "array": lambda: np.arange(6),
    "array shape": lambda: np.arange(6).reshape(2, 3),
    "array float": lambda: np.arange(6.0),
    "array object": lambda: np.array([1, "a", None], dtype=object),
    "array text": lambda: np.array(["a", "b"]),
    "array dates": lambda: np.array(["2020-01-01"], dtype="M8[D]"),
    "array empty": lambda: np.empty((0, 3)),
    "array structured": lambda: np.zeros(2, dtype=[("a", "i1"), ("b", "f8")]),
    "array masked": lambda: np.ma.array([1, 2], mask=[0, 1]),
    "array masked 2": lambda: np.ma.array([1, 2], mask=[1, 0]),
    "longdouble": lambda: np.array([1.5], dtype=np.longdouble),
    "csr": lambda: scipy.sparse.csr_matrix(np.eye(3)),
    "csr array": lambda: scipy.sparse.csr_array(np.eye(3)),
    "coo": lambda: scipy.sparse.coo_matrix(np.eye(3)),
    "dia": lambda: scipy.sparse.dia_matrix(np.eye(3)),
    "csr 2": lambda: scipy.sparse.csr_matrix(np.eye(3) * 2),
    "frozen": lambda: scipy.stats.loguniform(1, 2),
    "frozen 2": lambda: scipy.stats.loguniform(1, 3),
    "distribution": lambda: scipy.stats.norm,
    "RandomState": lambda: np.random.RandomState(0),
    "RandomState 1": lambda: np.random.RandomState(1),
    "Generator": lambda: np.random.default_rng(0),
    "BitGenerator": lambda: np.random.PCG64(0),
    "SeedSequence": lambda: np.random.SeedSequence(0),
    "Random": lambda: random.Random(0),
    "estimator": DummyClassifier,
    "estimator 2": lambda: DummyClassifier(strategy="uniform"),
    "estimator class": lambda: DummyClassifier,
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "pipeline C": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=2)),
    "own estimator": Doubler,
    "own estimator 2": lambda: Doubler(3),
    "scorer": lambda: make_scorer(accuracy_score),
    "scorer normalize": lambda: make_scorer(accuracy_score, normalize=False),
    "scorer sign": lambda: make_scorer(accuracy_score, greater_is_better=False),
    "scorer name": lambda: get_scorer("roc_auc"),
    "splitter": lambda: KFold(3),
    "splitter 2": lambda: ShuffleSplit(3, random_state=0),
    "bound method": lambda: Doubler().transform,
    "bound method 2": lambda: Doubler(3).transform,
    "generic alias": lambda: list[int],
    "object": object,
}


@pytest.mark.parametrize("name", DISTINCT)
def test_equal_values_made_twice_have_the_same_key(name):
    """A value made again from scratch, and a copy of it, have the first one's key."""
    make = DISTINCT[name]
    first = fingerprint(make())
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert fingerprint(make()) == first
    # A copy of a distribution has a copy of NumPy's hidden generator.
    if name not in ("module", "lambda", "frozen", "frozen 2", "distribution"):
        assert fingerprint(copy.deepcopy(make())) == first


def test_different_values_have_different_keys():
    """No two of the values above share a key."""
    names = collections.defaultdict(list)
    for name, make in DISTINCT.items():
        names[fingerprint(make())].append(name)
    assert [group for group in names.values() if len(group) > 1] == []


def unsorted_csr():
    matrix = scipy.sparse.csr_matrix(np.eye(3))
    matrix.indices = matrix.indices.astype(np.int64)
    summed = scipy.sparse.coo_matrix(
        ([0.5, 0.5, 1, 1], ([0, 0, 2, 1], [0, 0, 2, 1])), shape=(3, 3)
    )
    return matrix, summed.tocsr()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.5, np.float64(1.5)),
        (True, np.bool_(True)),
        (3, np.int64(3)),
        ("a", np.str_("a")),
        (float("nan"), -float("nan")),
        ({3, "a", None}, {None, "a", 3}),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.arange(12)[::2], np.arange(12)[::2].copy()),
        (
            np.array(["a", None], dtype=object),
            np.array([None, "a"], dtype=object)[::-1],
        ),
        unsorted_csr(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_give_the_same_scores_have_the_same_key(one, other):
    """Order, memory layout and NumPy's own numbers do not matter."""
    assert fingerprint(one) == fingerprint(other)


def test_array_from_a_memory_map_has_the_key_of_the_array(tmp_path):
    """Data that joblib dumped and mapped is the data; so is a large Fortran array."""
    array = np.random.RandomState(0).rand(300, 100)
    np.save(tmp_path / "a.npy", array)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert fingerprint(mapped) == fingerprint(array)


def test_large_array_in_fortran_order_has_the_key_of_the_array(monkeypatch):
    """An array is hashed in pieces without a copy of the whole."""
    monkeypatch.setattr(buffers, "_CHUNK", 1000)
    array = np.random.RandomState(0).rand(300, 100)
    assert fingerprint(np.asfortranarray(array)) == fingerprint(array)


def test_bytes_between_fields_do_not_matter():
    """Padding in structured arrays and in long doubles is not content."""
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    one, other = (np.full(16 * 3, fill, np.uint8).view(dtype) for fill in (0, 255))
    for array in (one, other):
        array["a"], array["b"] = 1, 2
    assert fingerprint(one) == fingerprint(other)


def test_shared_and_separate_parts_are_the_same():
    """Whether two equal parts are one object does not show."""
    part = [1, {"a": 2}]
    assert fingerprint([part, part]) == fingerprint([part, copy.deepcopy(part)])


def test_values_that_hold_themselves_have_keys():
    """Cycles through lists, instances and functions end."""

    def ring(value):
        one, two = Plain(value), Plain([])
        two.value = [one]
        one.other = two
        return one

    loop = [1]
    loop.append(loop)
    assert fingerprint(loop) == fingerprint(loop)
    assert fingerprint(ring(1)) == fingerprint(ring(1)) != fingerprint(ring(2))


@pytest.mark.timeout(120)  # walks along every path would not end
def test_dense_graph_of_functions_takes_linear_time():
    """Functions that all call each other are each walked once."""
    names = [f"f{i}" for i in range(60)]
    calls = " + ".join(f"{name}(x)" for name in names)
    scope = {}
    exec("\n".join(f"def {name}(x): return {calls}" for name in names), scope)
    assert fingerprint(scope["f0"]) == fingerprint(scope["f0"])


def test_dict_in_many_forms_has_one_key():
    """The fast way for plain candidates gives what the general walk gives."""
    walk = Walk(_key_handlers.handler_of)
    plain = {"b": 1, "a": "x", 3: None}
    general = node(b"dict", walk.items(plain.items(), ordered=True))
    assert walk.encode(plain) == general


def test_functions_with_other_code_in_the_same_place_differ():
    """Lambdas are told apart by their code, defaults and captured values."""
    made = [
        capture(1),
        capture(2),
        lambda x: x,
        lambda x: x + 1,
        lambda x: x + 2,
        lambda x, y=1: x,
        lambda x, *, y=1: x,
        lambda *x: x,
        lambda **x: x,
        *((lambda x, k=k: x + k) for k in (10, 20)),
        lambda x: 0.0,
        lambda x: -0.0,
        lambda x: 0,
        lambda x: False,
    ]
    assert len({fingerprint(function) for function in made}) == len(made)


def test_pickling_an_instance_leaves_the_key_of_its_class_alone():
    """What copyreg stores on a class on the way does not count."""

    class Fresh:
        pass

    before = fingerprint(Fresh)
    copy.copy(Fresh())
    assert "__slotnames__" in vars(Fresh)
    assert fingerprint(Fresh) == before


def test_code_defined_again_in_the_same_place_is_seen():
    """A notebook's cell run again: even when only what `try` covers has changed."""
    keys = []
    for rest in ("  b()\n except E: c()", " except E: c()\n else: b()"):
        scope = {}
        exec(f"def f():\n try:\n  a()\n{rest}", scope)
        keys.append(fingerprint(scope["f"]))
    assert keys[0] != keys[1]


class Answer(enum.Enum):
    YES = 1

    def __call__(self):
        return True


def test_methods_of_an_enum_are_part_of_it():
    """An enum's member is keyed with the code of its class."""
    before = fingerprint(Answer.YES)
    original = Answer.__call__
    try:
        Answer.__call__ = lambda self: False
        assert fingerprint(Answer.YES) != before
    finally:
        Answer.__call__ = original
    assert fingerprint(Answer.YES) == before


def test_decorated_user_function_is_keyed_by_the_wrapped_code():
    """A wrapper from a library shows the user's function that it wraps."""

    def cached(number):
        @functools.lru_cache
        @functools.singledispatch
        def function(x):
            return x + number

        return function

    assert fingerprint(cached(1)) == fingerprint(cached(1)) != fingerprint(cached(2))


def test_metadata_requests_are_part_of_an_estimator():
    """`set_fit_request` survives clone, so it is part of the key."""
    with sklearn.config_context(enable_metadata_routing=True):
        asked = Doubler().set_fit_request(sample_weight=True)
        again = Doubler().set_fit_request(sample_weight=True)
        refused = Doubler().set_fit_request(sample_weight=False)
    keys = [fingerprint(value) for value in (Doubler(), asked, refused)]
    assert len(set(keys)) == 3
    assert fingerprint(again) == keys[1]


def test_output_configuration_is_part_of_an_estimator():
    """`set_output` survives clone, so it is part of the key."""
    framed = StandardScaler().set_output(transform="default")
    assert fingerprint(framed) != fingerprint(StandardScaler())


def test_frozen_estimator_is_keyed_by_its_fitted_state():
    """What clone keeps of a FrozenEstimator is what it was fitted on."""
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator
    X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1]

    def fitted(shift):
        model = make_pipeline(StandardScaler(), LogisticRegression())
        return model, frozen(model.fit(X * shift, y))

    plain, one = fitted(1)

    def key(value):
        return fingerprint(value, cloned=True)

    assert key(one) == key(fitted(1)[1]) != key(fitted(2)[1])
    unfitted = make_pipeline(StandardScaler(), LogisticRegression())
    assert key([plain, one]) == key([unfitted, one])


def test_passthrough_scorer_does_not_hold_the_estimator():
    """Scoring by the estimator's own method is one key for all estimators."""
    from sklearn.metrics import check_scoring

    one, other = check_scoring(DummyClassifier()), check_scoring(LogisticRegression())
    assert fingerprint(one) == fingerprint(other)


def test_loggers_do_not_matter():
    """A function may log where it likes."""
    assert fingerprint(logging.getLogger("a")) == fingerprint(logging.getLogger("b"))


PANDAS = {
    "frame": lambda pd: pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
    "frame columns": lambda pd: pd.DataFrame({"a": [1, 2], "c": ["x", None]}),
    "frame index": lambda pd: pd.DataFrame({"a": [1, 2]}, index=[5, 6]),
    "frame dtype": lambda pd: pd.DataFrame({"a": [1.0, 2]}, index=[5, 6]),
    "series": lambda pd: pd.Series([1, 2], name="a"),
    "series name": lambda pd: pd.Series([1, 2], name="b"),
    "nullable": lambda pd: pd.Series([1, None], dtype="Int64"),
    "nullable 2": lambda pd: pd.Series([None, 1], dtype="Int64"),
    "category": lambda pd: pd.Series(["a", "b"], dtype="category"),
    "categorical": lambda pd: pd.Categorical(["a", "b"]),
    "ordered": lambda pd: pd.Categorical(["a", "b"], ordered=True),
    "string": lambda pd: pd.Series(["a", None], dtype="string"),
    "dates": lambda pd: pd.Series(pd.date_range("2020", periods=2)),
    "zoned": lambda pd: pd.Series(pd.date_range("2020", periods=2, tz="Asia/Tokyo")),
    "zoned 2": lambda pd: pd.Series(pd.date_range("2020", periods=2, tz="UTC")),
    "period": lambda pd: pd.Series(pd.period_range("2020", periods=2, freq="D")),
    "interval": lambda pd: pd.Series(pd.interval_range(0, 2)),
    "index": lambda pd: pd.Index([1, 3]),
    "range": lambda pd: pd.RangeIndex(3),
    "multi": lambda pd: pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
    "NA": lambda pd: pd.NA,
    "NaT": lambda pd: pd.NaT,
    "timestamp": lambda pd: pd.Timestamp("2020"),
    "sparse": lambda pd: pd.Series(pd.arrays.SparseArray([0, 1])),
}


def test_pandas_objects_are_keyed_by_content():
    """Frames, columns and indexes of every kind: equal if equal, else different."""
    pd = pytest.importorskip("pandas")
    keys = {name: fingerprint(make(pd)) for name, make in PANDAS.items()}
    assert len(set(keys.values())) == len(keys)
    for name, make in PANDAS.items():
        assert fingerprint(make(pd)) == keys[name], name
        made = make(pd)
        if hasattr(made, "iloc"):
            assert fingerprint(made.iloc[:]) == keys[name], name
            assert fingerprint(made.iloc[::-1]) != keys[name], name


class Connection:
    def __init__(self, address):
        self.address, self.lock = address, threading.Lock()


class Reader(Connection):
    pass


class Keyed(Connection):
    def __resumable_search_key__(self):
        return self.address


@pytest.fixture
def registered():
    register_key(Connection, lambda connection: connection.address)
    yield
    _key_handlers._registered.clear()
    _key_handlers._handlers.clear()


def test_registered_key_stands_for_the_object(registered):
    """A class with a registered key, or derived from one, is keyed by that."""
    assert fingerprint(Connection("a")) == fingerprint(Connection("a"))
    assert fingerprint(Connection("a")) != fingerprint(Connection("b"))
    assert fingerprint(Connection("a")) != fingerprint(Reader("a"))


def test_key_method_stands_for_the_object():
    """A class with `__resumable_search_key__` is keyed by what that returns."""
    assert fingerprint(Keyed("a")) == fingerprint(Keyed("a")) != fingerprint(Keyed("b"))


ODD_KEYS = [
    (lambda connection: connection, "returned the object itself"),
    (lambda connection: (1, connection), "returned the object itself"),
    (lambda connection: NotImplemented, "returned NotImplemented"),
    (lambda connection: connection.port, "failed .AttributeError: "),
    (lambda: "address", "failed .TypeError: "),
    (lambda connection: connection.lock, "cannot pickle"),
    (lambda connection: [(letter for letter in connection.address)], "pickle"),
]


@pytest.mark.parametrize(("function", "cause"), ODD_KEYS)
def test_registered_key_that_tells_nothing_is_an_error(registered, function, cause):
    """It names the class and says what its function is to return."""
    register_key(Connection, function)
    with pytest.raises(FingerprintError, match=cause) as caught:
        fingerprint([Connection("a")])
    assert str(caught.value).startswith("value[0]")
    assert "with register_key for the class Connection return a plain value" in str(
        caught.value
    )


def test_key_method_that_tells_nothing_is_an_error():
    """A method that returns the object would give all objects one key."""

    class Told:
        def __resumable_search_key__(self):
            return self

    class Text:
        __resumable_search_key__ = "text"

    for cls in (Told, Text):
        message = f"{cls.__qualname__} return a plain value"
        with pytest.raises(FingerprintError, match=message):
            fingerprint(cls())


@pytest.mark.parametrize("cls", [dict, int, object, "Connection", np.float64])
def test_register_key_refuses_what_it_cannot_change(cls):
    """Plain values and containers have the key they have."""
    with pytest.raises(TypeError, match="'cls' parameter of register_key"):
        register_key(cls, str)


def test_register_key_refuses_what_cannot_be_called():
    """The function must be one."""
    with pytest.raises(TypeError, match="'function' parameter of register_key"):
        register_key(Connection, "address")


LOCK = threading.Lock()


def locked(x):
    with LOCK:
        return x


def capture(lock):
    return lambda x: lock


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (LOCK, "estimator"),
        ([1, LOCK], r"estimator\[1\]"),
        ({"a": {"b": LOCK}}, r"estimator\['a'\]\['b'\]"),
        (DummyClassifier(constant=LOCK), "estimator__constant"),
        (Connection("a"), r"estimator\.lock"),
        (FunctionTransformer(locked), "estimator__func -> global 'LOCK'"),
        (
            make_pipeline(FunctionTransformer(capture(LOCK))),
            r"estimator__steps\[0\]\[1\]__func -> closure variable 'lock'",
        ),
        (functools.partial(add, LOCK), r"estimator -> arguments\[0\]"),
    ],
)
def test_error_names_the_way_to_the_value(value, path):
    """The message leads to the value, says why, and names both ways out."""
    with pytest.raises(FingerprintError, match=rf"^{path} must be ") as caught:
        fingerprint(value, "estimator", cloned=True)
    message = str(caught.value)
    for part in (
        "type _thread.lock",
        "cannot pickle",
        "__resumable_search_key__",
        "resumable_search.register_key(",
    ):
        assert part in message
    assert " at 0x" not in message
    assert caught.value.__cause__ is not None


def test_values_without_content_are_refused(tmp_path):
    """Files, generators, threads and anonymous ufuncs have no key."""
    with (tmp_path / "file").open("w") as file:
        for value in (
            file,
            (i for i in ()),
            threading.Thread(),
            np.frompyfunc(add, 2, 1),
        ):
            with pytest.raises(FingerprintError, match="must be something"):
                fingerprint(value)


def test_digest_keeps_parts_apart():
    """Neither the order nor the borders of the parts get lost."""
    made = [digest("ab", "c"), digest("a", "bc"), digest("c", "ab"), digest("abc")]
    assert len(set(made)) == 4
    assert digest("ab", "c") == made[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (np.float64(0.1), "0.1"),
        ("adam", "'adam'"),
        (np.zeros((150, 4)), "ndarray (150, 4) float64"),
        (add, "function add"),
        (Plain, "class Plain"),
        (Plain(1), "Plain(...)"),
        (make_pipeline(StandardScaler()), "Pipeline(...)"),
        (np.dtype("f8"), "dtype('float64')"),
    ],
)
def test_summary_is_short(value, text):
    """A value's summary is what a person would say of it."""
    assert summarize(value) == text


class Rude:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "value",
    [Rude(), [Rude()], "x" * 500, list(range(999)), [object()], LOCK, {1: LOCK}],
)
def test_summary_never_fails_nor_shows_addresses(value):
    """Whatever the value, its summary has at most 80 characters and no address."""
    text = summarize(value)
    assert len(text) <= 80
    assert "0x" not in text


def test_parameter_table_lists_nested_parameters():
    """Changing one nested parameter changes one entry."""
    one = make_pipeline(StandardScaler(), LogisticRegression(C=1))
    two = make_pipeline(StandardScaler(), LogisticRegression(C=2))
    before, after = parameter_table(one), parameter_table(two)
    assert {k for k in before if before[k] != after[k]} == {"logisticregression__C"}
    assert before["logisticregression__C"][1] == "1"
    assert before[""][1] == "sklearn.pipeline.Pipeline"
    assert before["standardscaler"][1].endswith("StandardScaler")


def test_parameter_table_leaves_the_key_of_a_bad_parameter_empty():
    """A parameter without a key is listed, so that a diff can go on."""
    assert parameter_table(DummyClassifier(constant=LOCK))["constant"][0] == ""


def test_fingerprint_imports_no_framework():
    """The parent process imports no deep learning framework for its keys."""
    script = (
        "import sys\n"
        "from resumable_search._keys.fingerprint import fingerprint\n"
        "fingerprint({'a': [1.0, len]})\n"
        "print({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


KERAS_SCRIPT = """
import json
import keras
from keras import callbacks, layers, losses, metrics, optimizers, regularizers
from resumable_search._keys.fingerprint import fingerprint

def loss(y_true, y_pred):
    return y_true - y_pred * FACTOR

class Callback(callbacks.Callback):
    def __init__(self, k=1):
        super().__init__()
        self.k = k
    def on_epoch_end(self, epoch, logs=None):
        print(FACTOR)

class Layer(layers.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
    def call(self, x):
        return x * FACTOR

def model(units=3, seed=1, **kwargs):
    keras.utils.set_random_seed(seed)
    made = keras.Sequential([layers.Input((4,)), layers.Dense(units, **kwargs)])
    made.compile(optimizers.Adam(1e-3), loss, metrics=["mae"])
    return made

def branched(factor=2):
    keras.utils.set_random_seed(1)
    first = keras.Input((4,))
    dense = layers.Dense(3)(first)
    return keras.Model(first, layers.Add()([dense, layers.Lambda(
        lambda tensor: tensor * factor)(dense)]))

decay = optimizers.schedules.ExponentialDecay
MAKERS = {
    "adam": lambda: optimizers.Adam(1e-3), "adam lr": lambda: optimizers.Adam(2e-3),
    "sgd": lambda: optimizers.SGD(1e-3),
    "schedule": lambda: optimizers.Adam(decay(0.1, 10, 0.5)),
    "schedule 2": lambda: optimizers.Adam(decay(0.1, 10, 0.6)),
    "loss": lambda: losses.BinaryCrossentropy(),
    "loss 2": lambda: losses.BinaryCrossentropy(from_logits=True),
    "metric": lambda: metrics.AUC(), "metric name": lambda: metrics.AUC(name="mine"),
    "metric of own loss": lambda: metrics.MeanMetricWrapper(loss),
    "initializer": lambda: keras.initializers.GlorotUniform(),
    "initializer 2": lambda: keras.initializers.GlorotUniform(seed=3),
    "regularizer": lambda: regularizers.L2(0.1),
    "regularizer 2": lambda: regularizers.L2(0.2),
    "early stopping": lambda: callbacks.EarlyStopping(patience=3),
    "early stopping 2": lambda: callbacks.EarlyStopping(patience=4),
    "rate": lambda: callbacks.LearningRateScheduler(lambda epoch: 0.1),
    "rate 2": lambda: callbacks.LearningRateScheduler(lambda epoch: 0.2),
    "own callback": Callback, "own callback 2": lambda: Callback(2),
    "own layer": Layer, "own layer 2": lambda: Layer(4),
    "layer": lambda: layers.Dense(3), "dropout": lambda: layers.Dropout(0.3),
    "lambda": lambda: layers.Dense(3, activation=lambda x: x * 2),
    "lambda 2": lambda: layers.Dense(3, activation=lambda x: x * 3),
    "model": model, "model units": lambda: model(4),
    "model weights": lambda: model(seed=2),
    "model activation": lambda: model(activation="tanh"),
    "branched": branched, "branched 2": lambda: branched(3),
    "function": lambda: keras.activations.relu, "class": lambda: optimizers.Adam,
    "tensor": lambda: keras.ops.ones((2,)), "variable": lambda: keras.Variable([1.0]),
}
first = {name: fingerprint(make()) for name, make in MAKERS.items()}
again = {name: fingerprint(make()) for name, make in MAKERS.items()}
print(json.dumps([first, again]))
"""
OWN_KERAS_CODE = {
    *("metric of own loss", "own callback", "own callback 2", "own layer"),
    *("own layer 2", "model", "model units", "model weights", "model activation"),
}


@pytest.mark.keras
@pytest.mark.slow
def test_keras_objects_are_keyed_by_configuration_and_code(tmp_path):
    """Made again, they are the same in any process; the user's code in them counts."""
    pytest.importorskip("keras")
    found = []
    for number, header in enumerate(
        ("FACTOR = 2\n", "# \nFACTOR = 2\n", "FACTOR = 3\n")
    ):
        path = tmp_path / f"script{number}.py"
        path.write_text(header + KERAS_SCRIPT)
        environment = {
            "PYTHONHASHSEED": str(number),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }
        done = subprocess.run(
            [sys.executable, path],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    (first, again), (moved, _), (changed, _) = found
    assert again == first
    assert moved == first
    assert len(set(first.values())) == len(first)
    assert {name for name in first if first[name] != changed[name]} == OWN_KERAS_CODE
