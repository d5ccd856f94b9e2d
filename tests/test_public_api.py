"""What users can import, and what its documentation promises."""

import ast
import doctest
import inspect
import re
import subprocess
import sys

import pytest
import sklearn.model_selection

import resumable_search
from resumable_search import _exceptions
from resumable_search._fit.options import OPTION_CONSTRAINTS, SearchOptions


def test_all_is_exactly_the_public_names():
    """Sorted, and nothing else is public but modules."""
    public = sorted(
        name
        for name in dir(resumable_search)
        if not name.startswith("_")
        and not inspect.ismodule(getattr(resumable_search, name))
    )
    assert resumable_search.__all__ == public


def test_the_tree_of_exceptions_is_drawn_as_it_is():
    """Each class stands under its base in the docstring of the module."""
    drawn, stack = {}, []
    for line in _exceptions.__doc__.splitlines():
        if line.strip() and line.startswith("    "):
            depth = (len(line) - len(line.lstrip())) // 2
            name = line.split()[0]
            stack[depth - 2 :] = [name]
            drawn[name] = stack[depth - 3] if depth > 2 else None
    for name in _exceptions.__all__:
        assert getattr(_exceptions, name).__base__.__name__ == drawn[name]


@pytest.mark.parametrize("name", ["GridSearchCV", "RandomizedSearchCV"])
def test_all_parameters_of_scikit_learn_are_there_with_their_defaults(name):
    """And those beyond are keyword-only."""
    theirs = inspect.signature(getattr(sklearn.model_selection, name)).parameters
    ours = inspect.signature(getattr(resumable_search, f"Resumable{name}")).parameters
    for parameter in theirs:
        assert repr(ours[parameter].default) == repr(theirs[parameter].default)
        assert ours[parameter].kind == theirs[parameter].kind
    for extra in set(ours) - set(theirs):
        assert ours[extra].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"checkpoint": 3}, "The 'checkpoint' parameter of ResumableGridSearchCV must"),
        ({"max_retries": -1}, "'max_retries' parameter of ResumableGridSearchCV must"),
        ({"n_jobs": 0}, "n_jobs == 0 has no meaning"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_named(iris, parameters, message):
    """In the shape of scikit-learn's messages, before anything runs."""
    from sklearn.svm import SVC

    search = resumable_search.ResumableGridSearchCV(SVC(), {"C": [1]}, **parameters)
    with pytest.raises(ValueError, match=message):
        search.fit(*iris)


@pytest.mark.parametrize(
    "name",
    [
        "CandidateComparisonDisplay",
        "ResumableGridSearchCV",
        "ResumableRandomizedSearchCV",
        "SearchProgressDisplay",
        "register_irrelevant",
        "register_key",
    ],
)
def test_the_examples_in_docstrings_are_true(name):
    """They run, and print what they say."""
    if name.endswith("Display"):
        pytest.importorskip("matplotlib").use("Agg")
    value = getattr(resumable_search, name)
    tests = doctest.DocTestFinder(recurse=False).find(value, name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in tests:
        runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0


def test_no_framework_is_imported_with_the_package():
    """Neither by the package nor by its Keras estimators."""
    code = (
        "import sys, resumable_search, resumable_search.keras; "
        "print([m for m in ('keras', 'tensorflow', 'torch', 'jax', 'matplotlib') "
        "if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


def test_private_names_of_scikit_learn_stay_in_one_folder():
    """Only `_sklearn_compat` imports them."""
    package = inspect.getfile(resumable_search).removesuffix("__init__.py")
    from pathlib import Path

    found = []
    for path in Path(package).rglob("*.py"):
        if path.parent.name == "_sklearn_compat":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[
                0
            ] in ("sklearn", "joblib"):
                names = [*node.module.split("."), *(a.name for a in node.names)]
                found += [(path.name, n) for n in names if n.startswith("_")]
    # The constraint classes, which subclasses of estimators are documented to use.
    allowed = {("options.py", "_param_validation")}
    assert set(found) <= allowed


OURS = set(inspect.signature(resumable_search.ResumableGridSearchCV).parameters) - set(
    inspect.signature(sklearn.model_selection.GridSearchCV).parameters
)


@pytest.mark.parametrize(
    "name", ["ResumableGridSearchCV", "ResumableRandomizedSearchCV"]
)
def test_each_search_has_the_options_of_the_table(name):
    """With their defaults, in their order, documented in the same words."""
    search = getattr(resumable_search, name)
    parameters = inspect.signature(search).parameters
    options = [option for option in parameters if option in OURS]
    assert options == list(OPTION_CONSTRAINTS)
    for option in options:
        assert parameters[option].default == getattr(SearchOptions, option)
        entry = documented(search)[option]
        assert f"default={parameters[option].default!r}" in entry.replace('"', "'")
        assert entry == documented(resumable_search.ResumableGridSearchCV)[option]


def documented(search):
    """Return the entries of the docstring's section of parameters by name."""
    text = (
        inspect.getdoc(search).partition("Parameters\n")[2].partition("Attributes")[0]
    )
    entries = re.split(r"\n(?=\w+ : )", text)
    return {entry.partition(" : ")[0]: entry.strip() for entry in entries}


def test_public_names_show_without_the_module_that_holds_them():
    """In tracebacks and in the documentation."""
    for name in [*_exceptions.__all__, "Resumption"]:
        assert getattr(resumable_search, name).__module__ == "resumable_search"
