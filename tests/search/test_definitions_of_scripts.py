"""Functions and classes of a script work in folds as they do in the script."""

SCRIPT = """
    import functools
    import numpy as np
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.datasets import load_iris
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.tree import DecisionTreeClassifier
    from resumable_search import ResumableGridSearchCV

    class Times(TransformerMixin, BaseEstimator):
        def __init__(self, factor=1):
            self.factor = factor

        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return X * self.factor

    @functools.singledispatch
    def positive(X):
        raise TypeError("no array")

    @positive.register
    def _(X: np.ndarray):
        return np.abs(X)

    def shifted(X):
        return positive(X) - 3

    X, y = load_iris(return_X_y=True)
    steps = [
        ("shift", FunctionTransformer(shifted)),
        ("times", Times()),
        ("model", DecisionTreeClassifier(random_state=0)),
    ]
    grid = {"times": [Times(2), Times(3)], "model__max_depth": [1, 2]}
    for search in (GridSearchCV, ResumableGridSearchCV):
        found = search(Pipeline(steps, memory="cache"), grid, cv=2).fit(X, y)
        print(found.cv_results_["mean_test_score"].tolist())
"""


def test_a_pipeline_with_a_memory_takes_what_a_script_defines(script):
    """Its classes and functions are found by name, as in the script itself."""
    out, err = script(SCRIPT).communicate()
    theirs, ours = out.splitlines() or [None, err]
    assert ours == theirs, err
