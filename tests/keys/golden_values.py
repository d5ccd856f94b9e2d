"""Print the keys of fixed values as JSON: they hold across versions of libraries.

Run it in an environment with other versions to see which of its keys are those in
``golden_keys.json``::

    python tests/keys/golden_values.py | diff - tests/keys/golden_keys.json

With ``--write``, the file is written anew. Do so only where keys have to change.
"""

import collections
import datetime as dt
import decimal
import fractions
import io
import json
import pathlib
import sys
import uuid
import zoneinfo

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import f1_score, get_scorer, make_scorer
from sklearn.model_selection import KFold, StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler
from sklearn.svm import SVC

from resumable_search._keys.fingerprint import fingerprint

FILE = pathlib.Path(__file__).with_name("golden_keys.json")

CSV = """name,number,share,yes,when
a,1,0.5,True,2020-01-01
b,2,,False,2020-01-02
,3,2.5,True,2020-01-03
"""


def from_csv(**options):
    return pd.read_csv(io.StringIO(CSV), **options)


def category():
    return pd.Series(pd.Categorical(["a", "b"], ["b", "a"], ordered=True))


VALUES = {
    "array": np.arange(6.0).reshape(2, 3),
    "bool array": np.array([True, False]),
    "int array": np.arange(3),
    "float32 array": np.arange(3, dtype="f4"),
    "text array": np.array(["a", "bc"]),
    "object array": np.array(["a", None, 1], dtype=object),
    "date array": np.array(["2020-01-01"], "M8[D]"),
    "record array": np.zeros(2, [("a", "i4"), ("b", "f8")]).view(np.recarray),
    "masked array": np.ma.array([1.0, 2.0], mask=[0, 1]),
    "masked": np.ma.masked,
    "scalars": [np.bool_(True), np.int64(1), np.float64(1), np.str_("a")],
    "other scalars": [np.float32(1), np.uint8(1), np.datetime64("2020-01-01")],
    "dtypes": [np.dtype("f8"), np.dtype("?"), np.dtype("U3"), np.dtype("M8[ns]")],
    "types": [np.float32, np.bool_, np.ndarray],
    "functions": [np.log, np.mean, np.log1p, np.linalg.norm],
    "random state": np.random.RandomState(0),
    "generator": np.random.default_rng(0),
    "seed sequence": np.random.SeedSequence(0),
    "sparse": scipy.sparse.csr_matrix(np.eye(2)),
    "sparse array": scipy.sparse.csc_array(np.eye(2)),
    "frame": from_csv(),
    "frame with an index": from_csv(index_col="name"),
    "frame with dates": from_csv().assign(
        when=np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[ns]")
    ),
    "frame of numbers": pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"]),
    "frame without names": pd.DataFrame(np.arange(6).reshape(3, 2)),
    "series": from_csv()["name"],
    "bool series": pd.Series([True, False]),
    "categories": category(),
    "nullable": pd.Series([1, None], dtype="Int64"),
    "nullable text": pd.Series(["a", None], dtype="string"),
    "dates": pd.Series(pd.DatetimeIndex(["2020-01-01"]).as_unit("ns")),
    "zoned dates": pd.Series(
        pd.DatetimeIndex(["2020-01-01"]).as_unit("ns").tz_localize("Europe/Berlin")
    ),
    "date range": pd.date_range("2020-01-01", periods=3, freq="D").as_unit("ns"),
    "periods": pd.Series(pd.period_range("2020-01", periods=2, freq="M")),
    "intervals": pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1, 2])),
    "multi-index": pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
    "index": pd.Index(["a", "b"]),
    "moment": pd.Timestamp("2020-01-01", tz="UTC").as_unit("ns"),
    "duration": pd.Timedelta(1),
    "single values": [pd.NA, pd.NaT, pd.Interval(1, 2), pd.Period("2020-01")],
    "pandas dtypes": [pd.CategoricalDtype(["a"]), pd.StringDtype(), pd.Int64Dtype()],
    "path": pathlib.Path("a/b"),
    "fraction": fractions.Fraction(1, 3),
    "decimal": decimal.Decimal("0.1"),
    "uuid": uuid.UUID(int=1),
    "date": [dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)],
    "zone": dt.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    "containers": [{"a": (1, 2.0)}, {1, 2}, range(3), slice(3), None],
    "collections": [collections.OrderedDict(a=1), collections.deque([1])],
    "counters": [collections.Counter("aab"), collections.defaultdict(list, a=1)],
    "scorer": get_scorer("accuracy"),
    "scorer of scores": get_scorer("roc_auc"),
    "negative scorer": get_scorer("neg_log_loss"),
    "own scorer": make_scorer(f1_score, average="macro"),
    "splitter": KFold(3),
    "random splitter": StratifiedShuffleSplit(3, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), PCA(2), GaussianNB()),
    "columns": ColumnTransformer([("a", StandardScaler(), ["a"])]),
    "transformer": FunctionTransformer(np.log1p),
    "neighbours": KNeighborsClassifier(3),
    "support vectors": SVC(C=2.0),
    "ridge": Ridge(0.5),
    "logistic regression": LogisticRegression(C=0.5),
    "least squares": LinearRegression(),
    "union": make_union(PCA(2), MaxAbsScaler()),
    "network": MLPRegressor(hidden_layer_sizes=(3,)),
    "forest": RandomForestClassifier(9, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=9, categorical_features=None),
    "clusters": KMeans(3, n_init=1, random_state=0),
    "text features": TfidfVectorizer(),
    "dummy": DummyClassifier(),
}


def keys():
    return {name: fingerprint(value, cloned=True) for name, value in VALUES.items()}


if __name__ == "__main__":
    text = json.dumps(keys(), indent=1, sort_keys=True) + "\n"
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(text)
    else:
        print(text, end="")
