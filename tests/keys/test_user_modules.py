"""Keys of functions that use the user's modules: what they see, and what not."""

import importlib.util
import sys
import types
import zipfile

import pytest

from resumable_search import UnseenDependencyWarning
from resumable_search._keys.fingerprint import fingerprint
from resumable_search._keys.sources import code_of

from .programs import keys_of

SCRIPT = '''
import functools, importlib, operator, sys
import numpy as np
import settings, lazy
import package.direct
local_name = settings

class Features:
    def __init__(self, module):
        self.module = module
    def __call__(self, X):
        return X ** self.module.POWER

def make(module):
    return lambda X: X ** module.POWER

def direct(X):
    return X ** settings.POWER
def handed_on(X):
    return Features(settings)(X)
def in_a_variable(X):
    return X ** local_name.POWER
def by_getattr(X):
    return X ** getattr(settings, "POWER")
def by_vars(X):
    return X ** vars(settings)["POWER"]
def by_dict(X):
    return X ** settings.__dict__["POWER"]
def by_attrgetter(X):
    return X ** operator.attrgetter("POWER")(settings)
def by_import_module(X):
    return X ** importlib.import_module("settings").POWER
def by_import_function(X):
    return X ** __import__("settings").POWER
def by_sys_modules(X):
    return X ** sys.modules["settings"].POWER
def by_default(X, module=settings):
    return X ** module.POWER
def by_globals(X):
    return X ** globals()["settings"].POWER
def by_eval(X):
    return eval("X ** settings.POWER")
def by_module_getattr(X):
    return X ** lazy.anything
def inside(X):
    import settings
    return X ** settings.POWER
def inside_name(X):
    from settings import POWER
    return X ** POWER
def init_of_a_parent(X):
    from package.sub import f
    return f(X)
def through_package(X):
    import package
    return package.direct.f(X)
def star(X):
    import all_of_it
    return all_of_it.f(X)
other_field = lambda X: X ** settings.OTHER
def unrelated(X):
    from package import sub
    return sub.Net().train(X)
def unused(X):
    from package import sub
    return X
captured, instance = make(settings), Features(settings)
partial = functools.partial(lambda module, X: X, settings)
NAMES = """direct handed_on in_a_variable by_getattr by_vars by_dict by_attrgetter
by_import_module by_import_function by_sys_modules by_default by_globals by_eval
by_module_getattr inside inside_name init_of_a_parent through_package star captured
instance partial other_field unrelated unused""".split()
VALUES = {name: globals()[name] for name in NAMES}
'''
FILES = {
    "settings.py": "POWER = {power}\nOTHER = 5\n",
    "lazy.py": "def __getattr__(name):\n    return {power}\n",
    "package/__init__.py": "LIMIT = {power}\n",
    "package/sub.py": "class Net:\n    def train(self, X): return X\nf = print\n",
    "package/direct.py": "def f(X):\n    return X ** {power}\n",
    "package/train.py": "def main(:  # half written, {power}\n",
    "all_of_it.py": "from starred import *\n",
    "starred/__init__.py": "__all__ = ['part']\n",
    "starred/part.py": "def f(X):\n    return X ** {power}\n",
}


def files(power):
    return {name: text.replace("{power}", str(power)) for name, text in FILES.items()}


def test_key_sees_a_users_module_however_it_is_reached(tmp_path):
    """A value edited in a module changes the key of each function that reaches it."""
    first = keys_of(tmp_path, SCRIPT, files(1))
    again = keys_of(tmp_path, SCRIPT, files(1), seed="3")
    changed = keys_of(tmp_path, SCRIPT, files(2))
    assert first == again
    same = {name for name in first if first[name] == changed[name]}
    assert same == {"other_field"}


def test_file_that_nothing_imports_does_not_count(tmp_path):
    """A half-written module whose name is that of an attribute is left alone."""
    first = keys_of(tmp_path, SCRIPT, files(1))
    changed = keys_of(tmp_path, SCRIPT, {"package/train.py": "other = ((\n"})
    assert first == changed


VALUE_SCRIPT = """
import sys
def inside(X):
    import config
    return config.scaled(X)
def by_method(X):
    from config import Model
    return Model().fit(X)
VALUES = {"not imported": fingerprint([inside, by_method])}
for change in CHANGES:
    sys.modules.pop("config", None)
    import config
    exec(change)
    VALUES[change] = fingerprint([inside, by_method])
"""
CONFIG = """
EPOCHS = 1
SIZES = {"hidden": [60 * 2, -1]}
BOTH = 1
BOTH = 2
COMPUTED = len("abc")
def scaled(X):
    global CALLS
    CALLS = 1
    return X * EPOCHS
class Model:
    depth = 3
    def fit(self, X):
        return X
"""
# What a script does to the module, and whether it is another module then.
CHANGES = {
    "pass": False,
    "config.scaled(1)": False,
    "config.EPOCHS = 1": False,
    "config.BOTH = 2": False,
    "config.EPOCHS = 30": True,
    "config.EPOCHS = 1.0": True,
    "config.SIZES['hidden'] = []": True,
    "config.scaled = lambda X: X": True,
    "config.Model.depth = 4": True,
    "config.Model.fit = lambda self, X: 2": True,
    "config.NEW = 4": True,
}


def test_value_that_a_script_sets_in_a_module_counts(tmp_path):
    """Where a function imports the module when it runs; equal values change nothing."""
    script = f"CHANGES = {list(CHANGES)}\n" + VALUE_SCRIPT
    found = keys_of(tmp_path, script, {"config.py": CONFIG})
    first = found.pop("not imported")
    assert {name: key != first for name, key in found.items()} == CHANGES


def test_package_with_a_finder_of_its_own_is_seen(tmp_path, monkeypatch):
    """As setuptools installs one in place: no folder of `sys.path` holds it."""
    path = tmp_path / "elsewhere" / "in_place.py"
    path.parent.mkdir()

    class Finder:
        @staticmethod
        def find_spec(name, path_=None, target=None):
            if name == "in_place":
                return importlib.util.spec_from_file_location(name, path)
            return None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])

    def function(X):
        import in_place

        return in_place.f(X)

    keys = []
    for text in ("n = 1\n", "n = 1  # noted\n", "n = 2\n"):
        path.write_text(text)
        keys.append(fingerprint(function))
    assert keys[0] == keys[1] != keys[2]


def test_module_in_a_zip_file_is_read_from_there(tmp_path, monkeypatch):
    """A function that imports it has a key, which changes with the module."""

    def function(X):
        from zipped_module import g

        return g(X)

    keys = []
    for number, value in enumerate((1, 1, 2)):
        archive = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("zipped_module.py", f"def g(X):\n    return {value}\n")
        with monkeypatch.context() as context:
            context.syspath_prepend(archive)
            keys.append(fingerprint(function))
    assert keys[0] == keys[1] != keys[2]


def test_module_made_at_run_time_counts_by_what_is_in_it():
    """It has no source, so its values are all there is."""

    def made(power):
        module = types.ModuleType("made_settings")
        module.POWER = power
        module.itself = module
        return module

    keys = [fingerprint([made(power)]) for power in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]


def test_module_loaded_from_a_path_counts_by_source_and_content(tmp_path):
    """Also as an attribute of an object, with a lock in it."""

    def loaded(text):
        path = tmp_path / "loaded.py"
        path.write_text(f"import threading\nlock = threading.Lock()\n{text}\n")
        spec = importlib.util.spec_from_file_location("loaded_settings", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    texts = ("POWER = 1", "POWER = 1  # noted", "POWER = 2")
    keys = [fingerprint([loaded(text)]) for text in texts]
    assert keys[0] == keys[1] != keys[2]
    module = loaded("POWER = 1")
    module.POWER = 3
    assert fingerprint([module]) not in keys


def test_computed_name_of_a_module_is_said():
    """A key cannot follow an import whose name is computed, so a warning tells."""

    def plugin(name):
        return __import__(f"plugins_{name}")

    with pytest.warns(UnseenDependencyWarning, match="plugin uses __import__"):
        fingerprint(plugin)


@pytest.mark.parametrize(
    ("body", "unseen"),
    [
        ("'settings' in sys.modules", set()),
        ("sys.modules.get('settings')", set()),
        ("sys.modules[__name__]", {"sys.modules"}),
        ("globals().get('settings')", set()),
        ("globals()[X]", {"globals"}),
        ("eval('X + 1')", set()),
        ("eval(X)", {"eval"}),
        ("model.eval(X)", set()),
        ("import_module('.part', __package__)", set()),
        ("import_module('a' + X)", {"import_module"}),
        ("os.environ['RATE']", set()),
        ("os.environ.get('RATE', X + 'x')", set()),
        ("os.getenv('RATE', str(X or 1))", set()),
        ("dict(os.environ), 'RATE' in os.environ", set()),
        ("run(X[0], env=os.environ)", set()),
        ("os.environ['A'][X]", set()),
        ("os.environ[X]", {"os.environ"}),
        ("os.environ[X + '_RATE']", {"os.environ"}),
        ("os.environ['RATE_' + X]", {"os.environ"}),
        ("os.environ[f'RATE_{X}']", {"os.environ"}),
        ("os.environ.get('RATE_%s' % X, 1)", {"os.environ"}),
        ("os.getenv(X)", {"os.getenv"}),
        ("getenv('RATE_' + X, 1)", {"os.getenv"}),
    ],
)
def test_lookup_by_a_text_in_the_code_is_followed(body, unseen):
    """Only what is looked up by a computed text is not."""
    assert code_of(f"def f(X):\n    return {body}".encode()).unseen == unseen


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("def f(x: int) -> str:\n n: int = 1", "def f(x):\n n = 1", True),
        ("n: int = 1", "n = 1", True),
        ("def f(x: int): 1", "def f(x: float): 1", True),
        (
            "import typing\n@typing.g\ndef f(x: int): 1",
            "import typing\n@typing.g\ndef f(x: str): 1",
            False,
        ),
        ("class A(B):\n x: int = 1", "class A(B):\n x: str = 1", False),
        ("class A:\n x: int = 1", "class A:\n x = 1", True),
        (
            "def f(x: int): 1\nget_type_hints(f)",
            "def f(x): 1\nget_type_hints(f)",
            False,
        ),
        ("n = 1", "n = 2", False),
        ("n = (", "n = ((", False),
    ],
)
def test_type_hints_in_an_imported_module_do_not_count_unless_read(one, other, alike):
    """A decorator, a base class or the module itself may read them."""
    assert (code_of(one.encode()).key == code_of(other.encode()).key) is alike
