"""Keys of what classes and functions carry beside their code."""

import textwrap

import pytest

from resumable_search._keys.fingerprint import fingerprint

IMPORTS = "import abc, dataclasses, enum, inspect, typing\n"
ENUM = """
class E(enum.Enum):
    {members}
def read():
    return next(iter(E)).value
"""
EXTRA = """
class E(enum.Enum):
    A = 1
E.A.extra = {extra}
def read():
    return E.A.extra
"""
MISSING = """
class E(enum.Enum):
    A = 1
    B = 2
    @classmethod
    def _missing_(cls, value):
        return cls.{member}
def read():
    return E(7).value
"""
METADATA = """
@dataclasses.dataclass
class D:
    k: int = dataclasses.field(default=0, metadata=dict({metadata}))
def read():
    return dataclasses.fields(D)[0].metadata
"""
ABSTRACT = """
class Reads(abc.ABC):
    pass
class A:
    pass
{register}
def read():
    return isinstance(A(), Reads)
"""
ANNOTATED = """
def f(x: {hint}):
    return x
class C:
    k: {hint} = 0
def read():
    return {reads}
"""
KEYWORD = """
def f(a=1, b=2):
    return a - b
def read():
    return f({name}=5)
"""


def key(source, **parts):
    source = textwrap.dedent(source).format(**parts)
    scope = {"__name__": "__main__"}
    exec(compile(IMPORTS + source, "script.py", "exec"), scope)
    return fingerprint(scope["read"])


@pytest.mark.parametrize(
    ("source", "one", "other"),
    [
        (ENUM, {"members": "A = 1; B = 2"}, {"members": "B = 2; A = 1"}),
        (ENUM, {"members": "A = 1"}, {"members": "A = 1; B = 1"}),
        (EXTRA, {"extra": "1"}, {"extra": "2"}),
        (EXTRA, {"extra": "[1]"}, {"extra": "[2]"}),
        (MISSING, {"member": "A"}, {"member": "B"}),
        (METADATA, {"metadata": "k=1"}, {"metadata": "k=2"}),
        (METADATA, {"metadata": ""}, {"metadata": "k=2"}),
        (ABSTRACT, {"register": ""}, {"register": "Reads.register(A)"}),
        *(
            (ANNOTATED, {"hint": "1", "reads": reads}, {"hint": "2", "reads": reads})
            for reads in (
                "f.__annotations__",
                "C.__annotations__",
                "typing.get_type_hints(C)",
                "inspect.signature(f)",
            )
        ),
        (KEYWORD, {"name": "a"}, {"name": "b"}),
    ],
)
def test_what_code_can_read_counts(source, one, other):
    """Two programs that can read another value have two keys, and one has one."""
    assert key(source, **one) != key(source, **other)
    assert key(source, **one) == key(source, **one)


@pytest.mark.parametrize("hint", ["int", "'list[int]'", "typing.Optional[int]"])
def test_annotations_that_no_code_reads_do_not_count(hint):
    """A type hint is a note to the reader."""
    plain = key(ANNOTATED, hint="float", reads="f(1) + C.k")
    assert key(ANNOTATED, hint=hint, reads="f(1) + C.k") == plain


def test_a_registered_class_may_refer_to_the_abstract_one():
    """Classes that refer to each other have a key."""
    assert key(
        """
        class Reads(abc.ABC):
            pass
        class A:
            def f(self):
                return Reads
        Reads.register(A)
        def read():
            return issubclass(A, Reads)
        """
    )
