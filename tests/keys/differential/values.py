"""The values that a program depends on, each in two versions that score otherwise."""

from typing import NamedTuple

__all__ = ["IMPORTS", "VALUES", "Value"]

#: What the expressions below, and the carriers' code, may use.
IMPORTS = """\
import abc, collections, contextlib, dataclasses, datetime, decimal, enum, fractions
import functools, importlib, importlib.util, math, operator, pathlib, re, sys, types
import typing
import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from differential_tools import (
    Color, Point, Setting, Slotted, Temperature, double, halve, Spring, Autumn
)
"""


class Value(NamedTuple):
    """A value of a program.

    Attributes
    ----------
    a, b : str
        Expressions of two values for which `score` differs.
    equal : str
        Another expression of the first value.
    score : str
        Expression of what a program makes of the value ``v``, a number.
    fitted : bool
        Whether the value has state that a clone drops.
    """

    a: str
    b: str
    equal: str
    score: str
    fitted: bool = False


_TEXT = "sum(i * ord(c) for i, c in enumerate(str(v), 1))"

VALUES = {
    "float": Value("1.5", "2.5", "3 / 2", "v"),
    "int": Value("7", "8", "3 + 4", "v"),
    "bool": Value("True", "False", "not False", "v"),
    "bool or int": Value("True", "1", "not False", "v is True"),
    "float or int": Value("1.0", "1", "2 / 2", "isinstance(v, int)"),
    "negative zero": Value("0.0", "-0.0", "0.0 * 1", "math.copysign(1, v)"),
    "infinity": Value("math.inf", "-math.inf", "float('inf')", "np.sign(v)"),
    "none": Value("None", "0", "None", "v is None"),
    "complex": Value("1 + 2j", "1 - 2j", "complex(1, 2)", "v.imag"),
    "large int": Value("10**30", "10**30 + 1", "10**15 * 10**15", "v % 1000"),
    "text": Value("'spring'", "'autumn'", "'spr' + 'ing'", _TEXT),
    "bytes": Value("b'ab'", "b'ac'", "b'a' + b'b'", "v[1]"),
    "bytearray": Value("bytearray(b'a')", "bytearray(b'c')", "bytearray([97])", "v[0]"),
    "list": Value("[1, 2, 3]", "[1, 3, 2]", "list(range(1, 4))", "v[1]"),
    "nested list": Value(
        "[[1], [2, [3]]]", "[[1], [2, [4]]]", "[[1], [2] + [[3]]]", "v[1][1][0]"
    ),
    "tuple": Value("(1, (2, 'x'))", "(1, (3, 'x'))", "(1,) + ((2, 'x'),)", "v[1][0]"),
    "list or tuple": Value("[1]", "(1,)", "list((1,))", "isinstance(v, list)"),
    "dict": Value("{'a': 1, 'b': 2}", "{'a': 1, 'b': 3}", "dict(a=1, b=2)", "v['b']"),
    "dict order": Value(
        "{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", "dict(a=1, b=2)", "list(v.values())[0]"
    ),
    "dict keys": Value("{1: 'a'}", "{2: 'a'}", "dict([(1, 'a')])", "list(v)[0]"),
    "set": Value(
        "{'x', 'yy', 'z'}",
        "{'x', 'yyy', 'z'}",
        "set('xz') | {'yy'}",
        "sum(map(len, v))",
    ),
    "frozenset": Value(
        "frozenset('abc')", "frozenset('abcd')", "frozenset('cba')", "len(v)"
    ),
    "deque": Value(
        "collections.deque([1, 2])",
        "collections.deque([2, 1])",
        "collections.deque((1, 2))",
        "v[0]",
    ),
    "deque length": Value(
        "collections.deque([1], 2)",
        "collections.deque([1], 3)",
        "collections.deque((1,), maxlen=2)",
        "v.maxlen",
    ),
    "defaultdict": Value(
        "collections.defaultdict(int, a=1)",
        "collections.defaultdict(float, a=1)",
        "collections.defaultdict(int, {'a': 1})",
        "isinstance(v['missing'], int)",
    ),
    "counter": Value(
        "collections.Counter('aab')",
        "collections.Counter('abb')",
        "collections.Counter(a=2, b=1)",
        "v['a']",
    ),
    "ordered dict": Value(
        "collections.OrderedDict(a=1, b=2)",
        "collections.OrderedDict(b=2, a=1)",
        "collections.OrderedDict([('a', 1), ('b', 2)])",
        "list(v.values())[0]",
    ),
    "namespace": Value(
        "types.SimpleNamespace(k=1)",
        "types.SimpleNamespace(k=2)",
        "types.SimpleNamespace(**{'k': 1})",
        "v.k",
    ),
    "range": Value("range(3)", "range(4)", "range(0, 3, 1)", "len(v)"),
    "slice": Value("slice(1, 3)", "slice(1, 4)", "slice(1, 3, None)", "v.stop"),
    "date": Value(
        "datetime.date(2024, 1, 31)",
        "datetime.date(2024, 2, 1)",
        "datetime.date.fromisoformat('2024-01-31')",
        "v.toordinal()",
    ),
    "time zone": Value(
        "datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)",
        "datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone("
        "datetime.timedelta(hours=1)))",
        "datetime.datetime(2024, 1, 1).replace(tzinfo=datetime.timezone.utc)",
        "v.timestamp()",
    ),
    "duration": Value(
        "datetime.timedelta(hours=1)",
        "datetime.timedelta(hours=2)",
        "datetime.timedelta(minutes=60)",
        "v.total_seconds()",
    ),
    "decimal": Value(
        "decimal.Decimal('1.1')",
        "decimal.Decimal('1.2')",
        "decimal.Decimal('1') + decimal.Decimal('0.1')",
        "v",
    ),
    "fraction": Value(
        "fractions.Fraction(1, 3)",
        "fractions.Fraction(2, 3)",
        "fractions.Fraction(2, 6)",
        "v",
    ),
    "path": Value(
        "pathlib.PurePosixPath('a/b')",
        "pathlib.PurePosixPath('a/bc')",
        "pathlib.PurePosixPath('a', 'b')",
        "len(str(v))",
    ),
    "pattern": Value(
        "re.compile('a')",
        "re.compile('b')",
        "re.compile('[a]'[1])",
        "v.match('a') is None",
    ),
    "pattern flags": Value(
        "re.compile('a')",
        "re.compile('a', re.I)",
        "re.compile('a', 0)",
        "v.match('A') is None",
    ),
    "array": Value(
        "np.arange(3.0)", "np.array([0, 1, 3.0])", "np.arange(6.0)[:3]", "v.sum()"
    ),
    "array dtype": Value(
        "np.arange(3)", "np.arange(3, dtype='i4')", "np.array([0, 1, 2])", "v.itemsize"
    ),
    "array shape": Value(
        "np.zeros((2, 3))", "np.zeros((3, 2))", "np.zeros(6).reshape(2, 3)", "len(v)"
    ),
    "object array": Value(
        "np.array(['a', 1], dtype=object)",
        "np.array(['a', 2], dtype=object)",
        "np.array(['a', 0 + 1], dtype=object)",
        "v[1]",
    ),
    "text array": Value(
        "np.array(['a', 'b'])",
        "np.array(['a', 'bc'])",
        "np.array(list('ab'))",
        "len(v[1])",
    ),
    "date array": Value(
        "np.array(['2024-01-01'], 'M8[D]')",
        "np.array(['2024-01-02'], 'M8[D]')",
        "np.array(['2024-01-01'], dtype='datetime64[D]')",
        "v.astype(int)[0]",
    ),
    "masked array": Value(
        "np.ma.masked_array([1.0, 2], [0, 1])",
        "np.ma.masked_array([1.0, 2], [0, 0])",
        "np.ma.masked_array([1.0, 2], [False, True])",
        "v.sum()",
    ),
    "structured array": Value(
        "np.array([(1, 2.0)], 'i4,f8')",
        "np.array([(1, 3.0)], 'i4,f8')",
        "np.array([(1, 2.0)] * 2, 'i4,f8')[:1]",
        "v['f1'][0]",
    ),
    "numpy scalar": Value(
        "np.float32(1.5)", "np.float32(2.5)", "np.float32(3 / 2)", "v"
    ),
    "dtype": Value(
        "np.dtype('f4')", "np.dtype('f8')", "np.dtype(np.float32)", "v.itemsize"
    ),
    "sparse matrix": Value(
        "scipy.sparse.csr_matrix([[0, 1.0]])",
        "scipy.sparse.csr_matrix([[0, 2.0]])",
        "scipy.sparse.csr_matrix(([1.0], ([0], [1])), (1, 2))",
        "v.sum()",
    ),
    "random state": Value(
        "np.random.RandomState(0)",
        "np.random.RandomState(1)",
        "np.random.RandomState(seed=0)",
        "v.get_state()[1][0] % 1000",
    ),
    "generator": Value(
        "np.random.default_rng(0)",
        "np.random.default_rng(1)",
        "np.random.Generator(np.random.PCG64(0))",
        "v.bit_generator.state['state']['state'] % 1000",
    ),
    "object": Value("Setting(1)", "Setting(2)", "Setting(value=1)", "v.value"),
    "slotted object": Value("Slotted(1)", "Slotted(2)", "Slotted(value=1)", "v.value"),
    "object with get_params": Value(
        "Temperature(1)",
        "Temperature(2)",
        "Temperature(value=1)",
        "v.hidden",
        fitted=True,
    ),
    "named tuple": Value("Point(1, 2)", "Point(1, 3)", "Point(y=2, x=1)", "v.y"),
    "enum member": Value("Color.RED", "Color.BLUE", "Color('red')", "len(v.value)"),
    "class": Value("Spring", "Autumn", "Spring", "v.month"),
    "function": Value("double", "halve", "double", "v(3)"),
    "lambda": Value(
        "(lambda x: x + 1)", "(lambda x: x + 2)", "(lambda x: x + 1)", "v(1)"
    ),
    "partial": Value(
        "functools.partial(pow, 2)",
        "functools.partial(pow, 3)",
        "functools.partial(pow, 1 + 1)",
        "v(3)",
    ),
    "bound method": Value(
        "Setting(1).get", "Setting(2).get", "Setting(value=1).get", "v()"
    ),
    "builtin": Value("math.floor", "math.ceil", "getattr(math, 'floor')", "v(1.5)"),
    "ufunc": Value("np.add", "np.multiply", "getattr(np, 'add')", "v(3, 3)"),
    "library module": Value(
        "math", "operator", "sys.modules['math']", "hasattr(v, 'pi')"
    ),
    "item getter": Value(
        "operator.itemgetter(0)",
        "operator.itemgetter(1)",
        "operator.itemgetter(False + 0)",
        "v([5, 6])",
    ),
    "estimator": Value("Ridge(alpha=1.0)", "Ridge(alpha=2.0)", "Ridge()", "v.alpha"),
    "fitted scaler": Value(
        "StandardScaler().fit([[0.0], [2]])",
        "StandardScaler().fit([[0.0], [4]])",
        "StandardScaler().fit(np.array([[0.0], [2]]))",
        "v.transform([[1.0]])[0, 0]",
        fitted=True,
    ),
    "fitted pipeline": Value(
        "make_pipeline(MinMaxScaler(), StandardScaler()).fit([[0.0], [2], [3]])",
        "make_pipeline(MinMaxScaler(), StandardScaler()).fit([[0.0], [2], [4]])",
        "make_pipeline(MinMaxScaler(), StandardScaler()).fit([[0.0], [2], [3]])",
        "v.transform([[1.0]])[0, 0]",
        fitted=True,
    ),
    "fitted regression": Value(
        "LinearRegression().fit([[0.0], [1]], [0.0, 1])",
        "LinearRegression().fit([[0.0], [1]], [0.0, 2])",
        "LinearRegression().fit(np.array([[0.0], [1]]), np.array([0.0, 1]))",
        "v.predict([[3.0]])[0]",
        fitted=True,
    ),
    "fitted vectorizer": Value(
        "CountVectorizer().fit(['red', 'blue red'])",
        "CountVectorizer().fit(['red', 'red'])",
        "CountVectorizer().fit(['red', 'blue', 'red blue'])",
        "v.transform(['red']).shape[1]",
        fitted=True,
    ),
    "fitted model in a list": Value(
        "[MinMaxScaler().fit([[0.0], [2]])]",
        "[MinMaxScaler().fit([[0.0], [4]])]",
        "list((MinMaxScaler().fit([[0.0], [2]]),))",
        "v[0].transform([[1.0]])[0, 0]",
        fitted=True,
    ),
    "method of a fitted model": Value(
        "MinMaxScaler().fit([[0.0], [2]]).transform",
        "MinMaxScaler().fit([[0.0], [4]]).transform",
        "MinMaxScaler().fit(np.array([[0.0], [2]])).transform",
        "v([[1.0]])[0, 0]",
    ),
}
