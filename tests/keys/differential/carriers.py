"""Where a value sits in a program: each carrier is code that defines ``read()``.

``{P}`` stands for the value's expression, ``{M}`` for the beginning of the names of the
program's own modules. A carrier in `MODULE_CARRIERS` has further modules.
"""

from typing import NamedTuple

__all__ = ["CARRIERS", "Carrier"]


class Carrier(NamedTuple):
    """Code that holds a value.

    Attributes
    ----------
    code : str
        Defines ``read``, which takes nothing and returns the value.
    modules : dict of str to str
        Name (with ``{M}``) -> source of the program's other modules.
    main : str
        What the script does after its imports.
    in_code : bool
        Whether the expression is part of a function's code, so that another
        expression of the same value is other code.
    in_module : bool
        Whether all of the modules that hold the value count as a whole.
    """

    code: str
    modules: dict[str, str] = {}  # noqa: RUF012 - never changed
    main: str = ""
    in_code: bool = False
    in_module: bool = False


_CLASSES = {
    "class attribute": """
class Settings:
    value = {P}
def read():
    return Settings.value
""",
    "inherited class attribute": """
class Base:
    value = {P}
class Settings(Base):
    pass
def read():
    return Settings().value
""",
    "instance attribute": """
class Settings:
    def __init__(self, value):
        self.value = value
SETTINGS = Settings({P})
def read():
    return SETTINGS.value
""",
    "slot": """
class Settings:
    __slots__ = ("value",)
SETTINGS = Settings()
SETTINGS.value = {P}
def read():
    return SETTINGS.value
""",
    "object called": """
class Settings:
    def __init__(self, value):
        self.value = value
    def __call__(self):
        return self.value
read = Settings({P})
""",
    "bound method": """
class Settings:
    def __init__(self, value):
        self.value = value
    def get(self):
        return self.value
read = Settings({P}).get
""",
    "class method": """
class Settings:
    value = {P}
    @classmethod
    def get(cls):
        return cls.value
read = Settings.get
""",
    "property": """
VALUE = {P}
class Settings:
    @property
    def value(self):
        return VALUE
def read():
    return Settings().value
""",
    "cached property": """
VALUE = {P}
class Settings:
    @functools.cached_property
    def value(self):
        return VALUE
SETTINGS = Settings()
def read():
    return SETTINGS.value
""",
    "descriptor": """
class Always:
    def __init__(self, value):
        self.value = value
    def __get__(self, instance, owner):
        return self.value
class Settings:
    value = Always({P})
def read():
    return Settings.value
""",
    "__getattr__ of a class": """
class Settings:
    def __init__(self, values):
        self.values = values
    def __getattr__(self, name):
        if name.startswith("__") or name == "values":
            raise AttributeError(name)
        return self.values[name]
SETTINGS = Settings(dict(value={P}))
def read():
    return SETTINGS.value
""",
    "metaclass attribute": """
class Meta(type):
    value = {P}
class Settings(metaclass=Meta):
    pass
def read():
    return Settings.value
""",
    "__init_subclass__ argument": """
class Base:
    def __init_subclass__(cls, value):
        cls.value = value
class Settings(Base, value={P}):
    pass
def read():
    return Settings.value
""",
    "class decorator": """
def with_value(value):
    def decorate(cls):
        cls.value = value
        return cls
    return decorate
@with_value({P})
class Settings:
    pass
def read():
    return Settings.value
""",
    "super": """
class Base:
    value = {P}
    def get(self):
        return self.value
class Settings(Base):
    def get(self):
        return super().get()
def read():
    return Settings().get()
""",
    "mixin added by type()": """
class Base:
    value = {P}
Settings = type("Settings", (Base,), {})
def read():
    return Settings.value
""",
    "namespace of type()": """
class Base:
    pass
Settings = type(Base)("Settings", (Base,), dict(value={P}))
def read():
    return Settings.value
""",
    "types.new_class": """
def fill(namespace):
    namespace["value"] = {P}
Settings = types.new_class("Settings", (), {}, fill)
def read():
    return Settings.value
""",
    "make_dataclass": """
Settings = dataclasses.make_dataclass(
    "Settings", ["k"], namespace=dict(value={P})
)
def read():
    return Settings.value
""",
    "dataclass field": """
@dataclasses.dataclass
class Settings:
    value: object
SETTINGS = Settings({P})
def read():
    return SETTINGS.value
""",
    "frozen dataclass with slots": """
@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    value: object
SETTINGS = Settings({P})
def read():
    return SETTINGS.value
""",
    "dataclass metadata": """
VALUE = {P}
@dataclasses.dataclass
class Settings:
    k: int = dataclasses.field(default=0, metadata=dict(value=VALUE))
def read():
    return dataclasses.fields(Settings)[0].metadata["value"]
""",
    "enum attribute": """
class Settings(enum.Enum):
    ONE = 1
Settings.ONE.extra = {P}
def read():
    return Settings.ONE.extra
""",
    "enum _missing_": """
VALUE = {P}
class Settings(enum.Enum):
    ONE = 1
    @classmethod
    def _missing_(cls, value):
        cls.ONE.found = VALUE
        return cls.ONE
def read():
    return Settings("no such").found
""",
    "enum functional API": """
VALUE = {P}
Settings = enum.Enum("Settings", dict(ONE=(1, VALUE)))
def read():
    return Settings.ONE.value[1]
""",
    "named tuple field": """
Settings = collections.namedtuple("Settings", ["value"])
SETTINGS = Settings({P})
def read():
    return SETTINGS.value
""",
    "named tuple default": """
Settings = collections.namedtuple("Settings", ["value"], defaults=[{P}])
def read():
    return Settings().value
""",
    "abstract class registration": """
VALUE = {P}
class Reads(abc.ABC):
    pass
class Settings:
    pass
def give():
    return VALUE
Settings.give = staticmethod(give)
Reads.register(Settings)
def read():
    return Settings.give() if issubclass(Settings, Reads) else None
""",
    "subclass of dict": """
class Settings(dict):
    pass
SETTINGS = Settings(value={P})
def read():
    return SETTINGS["value"]
""",
    "attribute of a subclass of list": """
class Settings(list):
    pass
SETTINGS = Settings()
SETTINGS.value = {P}
def read():
    return SETTINGS.value
""",
    "attribute of an estimator": """
class Shift(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return self.value_
SHIFT = Shift()
SHIFT.value_ = {P}
def read():
    return SHIFT.transform(0)
""",
    "annotation of a class": """
class Settings:
    value: {P}
def read():
    return Settings.__annotations__["value"]
""",
}

_FUNCTIONS = {
    "global": """
VALUE = {P}
def read():
    return VALUE
""",
    "dict in a global": """
SETTINGS = dict(other=1, value={P})
def read():
    return SETTINGS["value"]
""",
    "list in a global": """
SETTINGS = [0, [{P}]]
def read():
    return SETTINGS[1][0]
""",
    "global set by a call": """
VALUE = None
def configure(value):
    global VALUE
    VALUE = value
configure({P})
def read():
    return VALUE
""",
    "global that changes itself": """
VALUES = [{P}]
def read():
    VALUES.append(VALUES[0])
    return VALUES[-1]
""",
    "two globals of which one is read": """
OTHER = 1
VALUE = {P}
def read():
    return (OTHER, VALUE)[1]
""",
    "globals()": """
VALUE = {P}
def read():
    return globals()["VALUE"]
""",
    "closure": """
def make(value):
    def get():
        return value
    return get
read = make({P})
""",
    "closure of a closure": """
def make(value):
    def get():
        def inner():
            return value
        return inner()
    return get
read = make({P})
""",
    "closure of a lambda": """
read = (lambda value: lambda: value)({P})
""",
    "default value": """
def read(value={P}):
    return value
""",
    "keyword default": """
def read(*, value={P}):
    return value
""",
    "partial": """
def give(value):
    return value
read = functools.partial(give, {P})
""",
    "keyword of a partial": """
def give(value=None):
    return value
read = functools.partial(give, value={P})
""",
    "partialmethod": """
class Settings:
    def give(self, value):
        return value
    get = functools.partialmethod(give, {P})
def read():
    return Settings().get()
""",
    "decorator argument": """
def with_value(value):
    def decorate(function):
        @functools.wraps(function)
        def wrapped():
            return function(value)
        return wrapped
    return decorate
@with_value({P})
def read(value):
    return value
""",
    "attribute of a function": """
def read():
    return read.value
read.value = {P}
""",
    "wrapped function": """
VALUE = {P}
def original():
    return VALUE
@functools.wraps(original)
def replaced():
    return None
def read():
    return replaced.__wrapped__()
""",
    "lru_cache": """
VALUE = {P}
@functools.lru_cache
def cached():
    return VALUE
cached()
def read():
    return cached()
""",
    "singledispatch": """
VALUE = {P}
@functools.singledispatch
def give(value):
    return None
@give.register(int)
def _(value):
    return VALUE
def read():
    return give(1)
""",
    "generator function": """
VALUE = {P}
def values():
    yield VALUE
def read():
    return next(values())
""",
    "comprehension": """
VALUE = {P}
def read():
    return [VALUE for _ in range(1)][0]
""",
    "match statement": """
VALUE = {P}
def read():
    match 1:
        case 1:
            return VALUE
""",
    "exec": """
space = dict(VALUE={P})
exec("def get():\\n    return VALUE", space)
read = space["get"]
""",
    "annotation of a function": """
def annotated(x: {P}):
    return x
def read():
    return annotated.__annotations__["x"]
""",
    "type hints of a function": """
VALUE = {P}
def annotated(x: typing.Annotated[int, [VALUE]]):
    return x
def read():
    hints = typing.get_type_hints(annotated, include_extras=True)
    return hints["x"].__metadata__[0][0]
""",
    "np.vectorize": """
VALUES = [{P}]
pick = np.vectorize(VALUES.__getitem__, otypes=[object])
def give(i):
    return VALUES[i]
def read():
    return give(0) if pick.otypes else None
""",
    "functions that call each other": """
VALUE = {P}
def even(n):
    return VALUE if n == 0 else odd(n - 1)
def odd(n):
    return even(n - 1)
def read():
    return even(4)
""",
}

_CODE = {
    "code of a function": """
def read():
    return {P}
""",
    "code of a lambda": """
read = lambda: {P}
""",
    "code of a static method": """
class Settings:
    @staticmethod
    def get():
        return {P}
def read():
    return Settings.get()
""",
    "default factory": """
@dataclasses.dataclass
class Settings:
    value: object = dataclasses.field(default_factory=lambda: {P})
def read():
    return Settings().value
""",
    "code of a nested class": """
def read():
    class Settings:
        value = {P}
    return Settings.value
""",
    "default dict factory": """
SETTINGS = collections.defaultdict(lambda: {P})
def read():
    return SETTINGS["none"]
""",
}

_VALUE_MODULE = {"{M}_settings": "VALUE = {P}\ndef value():\n    return VALUE\n"}
_OBJECT_MODULE = {
    "{M}_settings": "import types\n"
    "SETTINGS = types.SimpleNamespace(value={P}, other=0)\n"
}
_PACKAGE = {
    "{M}_package.__init__": "",
    "{M}_package.part": "VALUE = {P}\n",
}
_INIT = {
    "{M}_package.__init__": "VALUE = {P}\n",
    "{M}_package.part": "from . import VALUE as other\n",
}

_MODULES = {
    "module attribute": Carrier(
        "import {M}_settings as settings\ndef read():\n    return settings.VALUE\n",
        _VALUE_MODULE,
    ),
    "name imported from a module": Carrier(
        "from {M}_settings import VALUE\ndef read():\n    return VALUE\n",
        _VALUE_MODULE,
    ),
    "everything imported from a module": Carrier(
        "from {M}_settings import *\ndef read():\n    return VALUE\n", _VALUE_MODULE
    ),
    "function of a module": Carrier(
        "from {M}_settings import value as read\n", _VALUE_MODULE
    ),
    "module in a dict": Carrier(
        "import {M}_settings\nMODULES = dict(settings={M}_settings)\n"
        "def read():\n    return MODULES['settings'].VALUE\n",
        _VALUE_MODULE,
    ),
    "import in a function": Carrier(
        "def read():\n    import {M}_settings\n    return {M}_settings.VALUE\n",
        _VALUE_MODULE,
        in_module=True,
    ),
    "name imported in a function": Carrier(
        "def read():\n    from {M}_settings import VALUE\n    return VALUE\n",
        _VALUE_MODULE,
        in_module=True,
    ),
    "submodule imported in a function": Carrier(
        "def read():\n    from {M}_package.part import VALUE\n    return VALUE\n",
        _PACKAGE,
        in_module=True,
    ),
    "submodule imported in a function by its package": Carrier(
        "def read():\n    from {M}_package import part\n    return part.VALUE\n",
        _PACKAGE,
        in_module=True,
    ),
    "__init__ of a package whose submodule is imported in a function": Carrier(
        "def read():\n    import {M}_package.part\n    return {M}_package.part.other\n",
        _INIT,
        in_module=True,
    ),
    "class body of a module imported in a function": Carrier(
        "def read():\n    from {M}_settings import Settings\n"
        "    return Settings.value\n",
        {"{M}_settings": "class Settings:\n    value = {P}\n"},
        in_module=True,
    ),
    "module of a module imported in a function": Carrier(
        "def read():\n    import {M}_outer\n    return {M}_outer.VALUE\n",
        {**_VALUE_MODULE, "{M}_outer": "from {M}_settings import VALUE\n"},
        in_module=True,
    ),
    "module handed on": Carrier(
        "import {M}_settings\ndef give(module):\n    return module.VALUE\n"
        "def read():\n    return give({M}_settings)\n",
        _VALUE_MODULE,
    ),
    "module in an object": Carrier(
        "import {M}_settings\nclass Reads:\n"
        "    def __init__(self, module):\n        self.module = module\n"
        "    def __deepcopy__(self, memo):\n        return Reads(self.module)\n"
        "    def get(self):\n        return self.module.VALUE\n"
        "read = Reads({M}_settings).get\n",
        _VALUE_MODULE,
    ),
    "getattr of a module": Carrier(
        "import {M}_settings\ndef read():\n    return getattr({M}_settings, 'VALUE')\n",
        _VALUE_MODULE,
    ),
    "vars of a module": Carrier(
        "import {M}_settings\ndef read():\n    return vars({M}_settings)['VALUE']\n",
        _VALUE_MODULE,
    ),
    "__dict__ of a module": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.__dict__['VALUE']\n",
        _VALUE_MODULE,
    ),
    "attrgetter": Carrier(
        "import {M}_settings\nget = operator.attrgetter('VALUE')\n"
        "def read():\n    return get({M}_settings)\n",
        _VALUE_MODULE,
    ),
    "importlib.import_module": Carrier(
        "def read():\n    return importlib.import_module('{M}_settings').VALUE\n",
        _VALUE_MODULE,
        in_module=True,
    ),
    "__import__": Carrier(
        "def read():\n    return __import__('{M}_settings').VALUE\n",
        _VALUE_MODULE,
        in_module=True,
    ),
    "__getattr__ of a module": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.anything\n",
        {
            "{M}_settings": "_hidden = {P}\ndef __getattr__(name):\n"
            "    if name.startswith('__'):\n        raise AttributeError(name)\n"
            "    return _hidden\n"
        },
    ),
    "attribute set in a module": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.VALUE\n",
        {"{M}_settings": "VALUE = None\n"},
        main="import {M}_settings\n{M}_settings.VALUE = {P}\n",
    ),
    "attribute set in a module's class": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.Settings.value\n",
        {"{M}_settings": "class Settings:\n    value = None\n"},
        main="import {M}_settings\n{M}_settings.Settings.value = {P}\n",
    ),
    "content of a module's dict": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.VALUES['k']\n",
        {"{M}_settings": "VALUES = {}\n"},
        main="import {M}_settings\n{M}_settings.VALUES['k'] = {P}\n",
    ),
    "attribute of a module's object": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.SETTINGS.value\n",
        _OBJECT_MODULE,
    ),
    "attribute of an object imported from a module": Carrier(
        "from {M}_settings import SETTINGS\ndef read():\n    return SETTINGS.value\n",
        _OBJECT_MODULE,
    ),
    "attribute set in a module's object": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.SETTINGS.value\n",
        {
            "{M}_settings": "import types\n"
            "SETTINGS = types.SimpleNamespace(value=None, other=0)\n"
        },
        main="import {M}_settings\n{M}_settings.SETTINGS.value = {P}\n",
    ),
    "object set in a module": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.SETTINGS.value\n",
        {"{M}_settings": "SETTINGS = None\n"},
        main="import types, {M}_settings\n"
        "{M}_settings.SETTINGS = types.SimpleNamespace(value={P}, other=0)\n",
    ),
    "call that configures a module": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.value()\n",
        {
            "{M}_settings": "_value = None\ndef configure(value):\n"
            "    global _value\n    _value = value\ndef value():\n    return _value\n"
        },
        main="import {M}_settings\n{M}_settings.configure({P})\n",
    ),
    "function replaced in a module": Carrier(
        "import {M}_settings\ndef read():\n    return {M}_settings.value()\n",
        {"{M}_settings": "def value():\n    return None\n"},
        main="import {M}_settings\nREPLACED = {P}\n"
        "{M}_settings.value = lambda: REPLACED\n",
    ),
    "attribute of a new module object": Carrier(
        "settings = types.ModuleType('{M}_made')\nsettings.VALUE = {P}\n"
        "def read():\n    return settings.VALUE\n",
    ),
    "module loaded from a path": Carrier(
        "spec = importlib.util.spec_from_file_location('{M}_loaded',\n"
        "    importlib.util.find_spec('{M}_settings').origin)\n"
        "settings = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(settings)\n"
        "def read():\n    return settings.VALUE\n",
        _VALUE_MODULE,
    ),
}

CARRIERS: dict[str, Carrier] = {
    **{name: Carrier(code) for name, code in {**_FUNCTIONS, **_CLASSES}.items()},
    **{name: Carrier(code, in_code=True) for name, code in _CODE.items()},
    **_MODULES,
}
