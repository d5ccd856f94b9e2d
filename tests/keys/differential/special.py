"""Pairs about data, splits, candidates, parameters, and the process itself."""

import itertools
from collections.abc import Iterator

from .edits import all_edits
from .processes import process_pairs
from .programs import Pair, Program
from .values import IMPORTS

__all__ = ["special_pairs"]

_READS = """\
class Reads(BaseEstimator):
    def __init__(self, k=1, m=2):
        self.k = k
        self.m = m
    def fit(self, X, y=None, **params):
        self.X_, self.y_, self.params_ = X, y, params
        return self
    def predict(self, X):
        return np.zeros(len(X))
    def score(self, X, y=None):
        return float({SCORE})
"""


def _script(arguments: str, score: str, before: str = "") -> str:
    if "estimator=" not in arguments:
        arguments = f"estimator=Reads(), grid={{}}, {arguments}"
    run = f"\ndef program():\n    return dict({arguments})\n"
    return IMPORTS + before + _READS.replace("{SCORE}", score) + run


# name, arguments of A, arguments of B, score, whether the folds are the same, and
# what the script does first
_F = "np.arange(12.0).reshape(6, 2)"
_DATA: list[tuple[str, str, str, str, bool]] = [
    ("content of X", f"X={_F}", f"X={_F} + 1", "X.sum()", False),
    ("content of the train part", f"X={_F}", f"X={_F} + 1", "self.X_.sum()", False),
    ("dtype of X", f"X={_F}", f"X={_F}.astype('f4')", "X.itemsize", False),
    ("byte order of X", f"X={_F}", f"X={_F}.astype('>f8')", "X.sum()", True),
    ("layout of X", f"X={_F}", f"X=np.asfortranarray({_F})", "X[:, 0].sum()", True),
    (
        "view for a copy",
        f"X={_F}",
        "X=np.arange(24.0)[:12].reshape(6, 2)",
        "X.sum()",
        True,
    ),
    ("strides of X", f"X={_F}", f"X=np.repeat({_F}, 2, axis=0)[::2]", "X.sum()", True),
    ("list for an array", f"X={_F}", f"X={_F}.tolist()", "isinstance(X, list)", False),
    (
        "list for a list",
        f"X={_F}.tolist()",
        f"X=[[*r] for r in {_F}.tolist()]",
        "len(X)",
        True,
    ),
    ("shape of X", f"X={_F}", f"X={_F}[:, :1]", "X.shape[1]", False),
    ("three axes", f"X={_F}", f"X={_F}.reshape(6, 1, 2)", "X.ndim", False),
    ("order of the rows", f"X={_F}", f"X={_F}[::-1]", "X[0, 0]", False),
    (
        "a NaN in X",
        f"X={_F}",
        f"X=np.where({_F} == 3, np.nan, {_F})",
        "np.isnan(X).sum()",
        False,
    ),
    (
        "sign of a zero in X",
        f"X={_F}",
        f"X={_F} * np.where({_F} == 0, -1, 1)",
        "np.signbit(X).sum()",
        False,
    ),
    (
        "read-only X",
        f"X={_F}",
        f"X=np.frombuffer({_F}.tobytes()).reshape(6, 2)",
        "X.sum()",
        True,
    ),
    (
        "object X",
        "X=np.array([['a', 1]] * 6, dtype=object)",
        "X=np.array([['a', 2]] * 6, dtype=object)",
        "X[0, 1]",
        False,
    ),
    ("text X", "X=['red'] * 6", "X=['rot'] * 6", "ord(X[0][1])", False),
    (
        "text in an array",
        "X=np.array(['red'] * 6, dtype=object)",
        "X=np.array(['r' + 'ed' for _ in range(6)], dtype=object)",
        "len(X[0])",
        True,
    ),
    (
        "sparse X",
        f"X=scipy.sparse.csr_matrix({_F})",
        f"X=scipy.sparse.csr_matrix({_F} + 1)",
        "X.sum()",
        False,
    ),
    (
        "sparse X, made otherwise",
        f"X=scipy.sparse.csr_matrix({_F})",
        f"X=scipy.sparse.csc_matrix({_F}).tocsr()",
        "X.sum()",
        True,
    ),
    (
        "format of sparse X",
        f"X=scipy.sparse.csr_matrix({_F})",
        f"X=scipy.sparse.csr_array({_F})",
        "isinstance(X, scipy.sparse.sparray)",
        False,
    ),
    (
        "content of y",
        "y=np.array([0, 1] * 3)",
        "y=np.array([0, 1, 1] * 2)",
        "y[1] + 2 * y[2]",
        False,
    ),
    (
        "dtype of y",
        "y=np.array([0, 1] * 3)",
        "y=np.array([0.0, 1] * 3)",
        "y.dtype.kind == 'f'",
        False,
    ),
    ("y or none", "y=np.array([0, 1] * 3)", "y=None", "y is None", False),
    (
        "text y",
        "y=np.array(['a', 'b'] * 3)",
        "y=np.array(['a', 'c'] * 3)",
        "ord(y[1]) + ord(y[-1])",
        False,
    ),
    ("y of two columns", f"y={_F}", f"y={_F} * 2", "y.sum()", False),
    (
        "sample weights",
        "fit_params=dict(w=np.ones(6))",
        "fit_params=dict(w=np.arange(6.0))",
        "self.params_['w'].sum()",
        False,
    ),
    (
        "sample weights made otherwise",
        "fit_params=dict(w=np.ones(6))",
        "fit_params=dict(w=np.full(6, 1.0))",
        "self.params_['w'].sum()",
        True,
    ),
    (
        "a fit parameter's name",
        "fit_params=dict(a=1)",
        "fit_params=dict(b=1)",
        "'a' in self.params_",
        False,
    ),
    (
        "order of fit parameters",
        "fit_params=dict(a=1, b=2)",
        "fit_params=dict(b=2, a=1)",
        "self.params_['a']",
        True,
    ),
    (
        "an object as fit parameter",
        "fit_params=dict(s=Setting(1))",
        "fit_params=dict(s=Setting(2))",
        "self.params_['s'].value",
        False,
    ),
    (
        "a fitted model as fit parameter",
        "fit_params=dict(m=StandardScaler().fit([[0.0], [2]]))",
        "fit_params=dict(m=StandardScaler().fit([[0.0], [4]]))",
        "self.params_['m'].mean_[0]",
        False,
    ),
]
_FRAME = "pd.DataFrame({'a': [1, 2, 3, 4, 5, 6], 'b': list('uvwxyz')})"
_FRAMES: list[tuple[str, str, str, str, bool]] = [
    ("a cell", f"X={_FRAME}", f"X={_FRAME}.replace(6, 7)", "X.a.sum()", False),
    (
        "the name of a column",
        f"X={_FRAME}",
        f"X={_FRAME}.rename(columns=dict(a='c'))",
        "'a' in X",
        False,
    ),
    (
        "the order of columns",
        f"X={_FRAME}",
        f"X={_FRAME}[['b', 'a']]",
        "X.columns[0] == 'a'",
        False,
    ),
    (
        "a column's dtype",
        f"X={_FRAME}",
        f"X={_FRAME}.astype(dict(a='int32'))",
        "X.a.dtype.itemsize",
        False,
    ),
    (
        "a nullable dtype",
        f"X={_FRAME}",
        f"X={_FRAME}.astype(dict(a='Int64'))",
        "str(X.a.dtype) == 'Int64'",
        False,
    ),
    (
        "the index",
        f"X={_FRAME}",
        f"X={_FRAME}.set_index(np.arange(1, 7))",
        "X.index.max()",
        False,
    ),
    (
        "the name of the index",
        f"X={_FRAME}",
        f"X={_FRAME}.rename_axis('i')",
        "X.index.name == 'i'",
        False,
    ),
    (
        "categories",
        f"X={_FRAME}.astype(dict(b='category'))",
        f"X={_FRAME}.assign(b=pd.Categorical(list('uvwxyz'), list('zyxwvu')))",
        "X.b.cat.codes.sum()",
        False,
    ),
    (
        "ordered categories",
        f"X={_FRAME}.astype(dict(b='category'))",
        f"X={_FRAME}.assign(b=pd.Categorical(list('uvwxyz'), ordered=True))",
        "X.b.cat.ordered",
        False,
    ),
    (
        "blocks",
        f"X={_FRAME}",
        f"X=pd.concat([{_FRAME}[['a']], {_FRAME}[['b']]], axis=1)",
        "X.a.sum()",
        True,
    ),
    (
        "a copy",
        f"X={_FRAME}",
        f"X={_FRAME}.iloc[::-1].iloc[::-1].copy()",
        "X.a.sum()",
        True,
    ),
    (
        "a cached index",
        f"X={_FRAME}",
        f"X=(lambda f: (f.loc[3], f)[1])({_FRAME})",
        "X.a.sum()",
        True,
    ),
    ("a frame in a global", "scoring=seen", "scoring=seen", "1", True),
]

_H, _M = "np.arange(3)", "[np.array([3]), np.array([4, 5])]"
_SPLITS: list[tuple[str, str, str, str, bool]] = [
    (
        "one train object",
        f"cv=[(h, m) for h in [{_H}] for m in {_M}]",
        f"cv=[(h, m) for h in [{_H}] for m in {_M}]",
        "X.sum()",
        True,
    ),
    (
        "one train object, then equal ones",
        f"cv=[(h, m) for h in [{_H}] for m in {_M}]",
        f"cv=[({_H}, m) for m in {_M}]",
        "X.sum()",
        True,
    ),
    (
        "equal train objects, then one",
        f"cv=[({_H}, m) for m in {_M}]",
        f"cv=[(h, m) for h in [{_H}] for m in {_M}]",
        "X.sum()",
        True,
    ),
    (
        "one test object",
        f"cv=[(t, h) for h in [{_H}] for t in {_M}]",
        f"cv=[(t, h) for h in [{_H}] for t in {_M}]",
        "self.X_.sum()",
        True,
    ),
    (
        "test indices",
        f"cv=[({_H}, np.array([3]))]",
        f"cv=[({_H}, np.array([4]))]",
        "X.sum()",
        False,
    ),
    (
        "train indices",
        f"cv=[({_H}, np.array([3]))]",
        "cv=[(np.arange(2), np.array([3]))]",
        "len(self.X_)",
        False,
    ),
    (
        "order of train indices",
        f"cv=[({_H}, np.array([3]))]",
        f"cv=[({_H}[::-1], np.array([3]))]",
        "self.X_[0, 0]",
        False,
    ),
    (
        "order of the splits",
        f"cv=[({_H}, m) for m in {_M}]",
        f"cv=[({_H}, m) for m in {_M}[::-1]]",
        "X.sum()",
        False,
    ),
    (
        "train and test swapped",
        f"cv=[({_H}, np.array([3, 4]))]",
        f"cv=[(np.array([3, 4]), {_H})]",
        "X.sum()",
        False,
    ),
    (
        "lists for arrays",
        f"cv=[({_H}, np.array([3]))]",
        "cv=[([0, 1, 2], [3])]",
        "X.sum()",
        True,
    ),
    (
        "int32 for int64",
        f"cv=[({_H}, np.array([3]))]",
        f"cv=[({_H}.astype('i4'), np.array([3], 'i4'))]",
        "X.sum()",
        True,
    ),
    (
        "a range for an array",
        f"cv=[({_H}, np.array([3]))]",
        "cv=[(range(3), range(3, 4))]",
        "X.sum()",
        True,
    ),
    ("splits of KFold", "cv=2", "cv=KFold(2)", "X.sum()", True),
    (
        "a list of KFold's splits",
        "cv=KFold(2)",
        f"cv=list(KFold(2).split({_F}))",
        "X.sum()",
        True,
    ),
    (
        "an iterator of KFold's splits",
        "cv=KFold(2)",
        f"cv=iter(list(KFold(2).split({_F})))",
        "X.sum()",
        True,
    ),
    ("number of splits", "cv=2", "cv=3", "X.sum()", False),
    (
        "seed of the splitter",
        "cv=KFold(2, shuffle=True, random_state=0)",
        "cv=KFold(2, shuffle=True, random_state=1)",
        "X.sum()",
        False,
    ),
    (
        "groups",
        "cv=GroupKFold(2), fit_params=dict(groups=[0, 0, 1, 1, 2, 2])",
        "cv=GroupKFold(2), fit_params=dict(groups=[0, 1, 1, 2, 2, 0])",
        "X.sum()",
        False,
    ),
    (
        "the same split twice",
        f"cv=[({_H}, np.array([3]))] * 2",
        f"cv=[({_H}, np.array([3]))] * 2",
        "X.sum()",
        True,
    ),
    (
        "masks for indices",
        "cv=[(np.arange(6) < 3, np.arange(6) == 3)]",
        "cv=[(np.arange(6) < 3, np.arange(6) == 4)]",
        "X.sum()",
        False,
    ),
    (
        "negative indices",
        f"cv=[({_H}, np.array([5]))]",
        f"cv=[({_H}, np.array([4]))]",
        "X.sum()",
        False,
    ),
    (
        "overlapping splits",
        f"cv=[({_H}, {_H}), ({_H}, np.array([3]))]",
        f"cv=[({_H}, {_H}), ({_H}, np.array([4]))]",
        "X.sum()",
        False,
    ),
]

_CANDIDATES: list[tuple[str, str, str, str, bool]] = [
    (
        "a value",
        "estimator=Reads(), grid=dict(k=[1])",
        "estimator=Reads(), grid=dict(k=[3])",
        "self.k",
        False,
    ),
    (
        "a parameter's name",
        "estimator=Reads(), grid=dict(k=[3])",
        "estimator=Reads(), grid=dict(m=[3])",
        "self.k",
        False,
    ),
    (
        "a default added to the grid",
        "estimator=Reads(), grid=dict(k=[3])",
        "estimator=Reads(), grid=dict(k=[3], m=[2])",
        "self.k + self.m",
        True,
    ),
    (
        "a parameter moved into the grid",
        "estimator=Reads(k=3), grid={}",
        "estimator=Reads(), grid=dict(k=[3])",
        "self.k + self.m",
        True,
    ),
    (
        "a parameter moved out of the grid",
        "estimator=Reads(), grid=dict(k=[3])",
        "estimator=Reads(k=3), grid={}",
        "self.k + self.m",
        True,
    ),
    (
        "a parameter that the grid hides",
        "estimator=Reads(k=1), grid=dict(k=[3])",
        "estimator=Reads(k=2), grid=dict(k=[3])",
        "self.k + self.m",
        True,
    ),
    (
        "an array for a list",
        "estimator=Reads(), grid=dict(k=[1, 3])",
        "estimator=Reads(), grid=dict(k=np.array([1, 3]))",
        "self.k + self.m",
        True,
    ),
    (
        "a list of grids",
        "estimator=Reads(), grid=dict(k=[1, 3])",
        "estimator=Reads(), grid=[dict(k=[1]), dict(k=[3])]",
        "self.k + self.m",
        True,
    ),
    (
        "order of the grid",
        "estimator=Reads(), grid=dict(k=[1], m=[3])",
        "estimator=Reads(), grid=dict(m=[3], k=[1])",
        "self.k + self.m",
        True,
    ),
    (
        "order of the candidates",
        "estimator=Reads(), grid=dict(k=[1, 3])",
        "estimator=Reads(), grid=dict(k=[3, 1])",
        "self.k",
        False,
    ),
    (
        "int and float",
        "estimator=Reads(), grid=dict(k=[1])",
        "estimator=Reads(), grid=dict(k=[1.0])",
        "isinstance(self.k, int)",
        False,
    ),
    (
        "two methods of fitted models",
        "estimator=Reads(), grid=dict(k=[f.transform for f in ("
        "StandardScaler().fit([[0.0], [2]]), StandardScaler().fit([[0.0], [4]]))])",
        "estimator=Reads(), grid=dict(k=[f.transform for f in ("
        "StandardScaler().fit([[0.0], [2]]), StandardScaler().fit([[0.0], [4]]))])",
        "self.k([[1.0]])[0, 0]",
        True,
    ),
    (
        "an object shared or equal",
        "estimator=Reads(), grid=dict(k=[[s, s] for s in [Setting(1)]])",
        "estimator=Reads(), grid=dict(k=[[Setting(1), Setting(1)]])",
        "self.k[0].value",
        True,
    ),
    (
        "order of keywords",
        "estimator=Reads(k=functools.partial(dict, a=1, b=2)), grid={}",
        "estimator=Reads(k=functools.partial(dict, b=2, a=1)), grid={}",
        "self.k()['a']",
        True,
    ),
    (
        "a fitted estimator as parameter",
        "estimator=Reads(k=StandardScaler().fit([[0.0], [2]])), grid={}",
        "estimator=Reads(k=StandardScaler().fit([[0.0], [4]])), grid={}",
        "hasattr(self.k, 'mean_')",
        True,
    ),
    (
        "fitted estimators in a list",
        "estimator=Reads(k=[StandardScaler().fit([[0.0], [2]])]), grid={}",
        "estimator=Reads(k=[StandardScaler().fit([[0.0], [4]])]), grid={}",
        "hasattr(self.k[0], 'mean_')",
        True,
    ),
    (
        "a fitted estimator in an object",
        "estimator=Reads(k=Setting(StandardScaler().fit([[0.0], [2]]))), grid={}",
        "estimator=Reads(k=Setting(StandardScaler().fit([[0.0], [4]]))), grid={}",
        "self.k.value.mean_[0]",
        False,
    ),
    (
        "the estimator is fitted",
        "estimator=Reads(), grid={}",
        "estimator=Reads().fit([[0.0]]), grid={}",
        "self.k",
        True,
    ),
]
_MODELS: list[tuple[str, str, str, bool]] = [
    ("C", "LogisticRegression(C=1.0)", "LogisticRegression(C=1e-4)", False),
    ("verbose", "LogisticRegression()", "LogisticRegression(verbose=0)", True),
    (
        "n_jobs of a forest",
        "RandomForestClassifier(2, random_state=0)",
        "RandomForestClassifier(2, random_state=0, n_jobs=2)",
        True,
    ),
    (
        "verbose of a nested forest",
        "BaggingClassifier(RandomForestClassifier(2, random_state=0), 2,"
        " random_state=0)",
        "BaggingClassifier(RandomForestClassifier(2, random_state=0, verbose=1), 2,"
        " random_state=0)",
        True,
    ),
    (
        "seed of a forest",
        "RandomForestClassifier(1, random_state=0, max_depth=1)",
        "RandomForestClassifier(1, random_state=7, max_depth=1)",
        False,
    ),
    (
        "memory of a pipeline",
        "make_pipeline(StandardScaler(), LogisticRegression())",
        "make_pipeline(StandardScaler(), LogisticRegression(),"
        " memory=tempfile.mkdtemp())",
        True,
    ),
    (
        "a step",
        "make_pipeline(StandardScaler(), Ridge())",
        "make_pipeline(MinMaxScaler(), Ridge())",
        False,
    ),
    (
        "a step replaced by passthrough",
        "make_pipeline(StandardScaler(), Ridge(9))",
        "make_pipeline('passthrough', Ridge(9))",
        False,
    ),
    (
        "a regression's alpha as an array",
        "Ridge(alpha=1.0)",
        "Ridge(alpha=np.float64(1.0))",
        True,
    ),
]
_MODEL_IMPORTS = """\
import tempfile
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
"""
_MODEL_DATA = (
    ", grid={}, X=np.random.RandomState(0).rand(60, 3),"
    " y=(np.random.RandomState(0).rand(60, 3)[:, 0] > 0.6) * 1"
)


def _tables() -> Iterator[tuple[tuple[str, ...], str, str, bool]]:
    for topic, before, table in (
        ("data", "", _DATA),
        ("frame", "import pandas as pd\n", _FRAMES),
        ("splits", "from sklearn.model_selection import GroupKFold, KFold\n", _SPLITS),
        ("candidate", "", _CANDIDATES),
    ):
        for name, a, b, score, reuse in table:
            first = before
            if "scoring=seen" in a:
                first += (
                    f"FRAME = {_FRAME}\ndef seen(estimator, X, y):\n"
                    "    return float(FRAME.a.sum())\n"
                )
            yield (
                (topic, name),
                _script(a, score, first),
                _script(b, score, first),
                reuse,
            )
    for name, a, b, reuse in _MODELS:
        yield (
            ("model", name),
            _script(f"estimator={a}{_MODEL_DATA}", "1", _MODEL_IMPORTS),
            _script(f"estimator={b}{_MODEL_DATA}", "1", _MODEL_IMPORTS),
            reuse,
        )


def _pair(number: int, kind: tuple[str, ...], a: str, b: str, reuse: bool) -> Pair:
    script = f"s{number:04}_script.py"
    return Pair(
        kind=kind,
        a=Program(files={script: a}, script=script),
        b=Program(files={script: b}, script=script),
        reuse=reuse,
    )


def special_pairs() -> Iterator[Pair]:
    """Give the pairs that do not grow from the grammar."""
    numbers = itertools.count()
    for kind, a, b, reuse in _tables():
        yield _pair(next(numbers), kind, a, b, reuse)
    yield from process_pairs()
    yield from all_edits(0)
