"""What is known of a class, looked up by which class it is.

A metaclass may compare its classes as it likes, and then they may have no hash: a dict
that has classes as keys could fail, or take one class for another.
"""

from typing import Generic, TypeVar
from weakref import ref

__all__ = ["ClassTable"]

Known = TypeVar("Known")


class ClassTable(Generic[Known]):
    """Values by class, as long as the class lives."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[ref[type], Known]] = {}

    def get(self, cls: type) -> Known | None:
        """Return what is known of a class, None if nothing is."""
        found = self._known.get(id(cls))
        return found[1] if found is not None and found[0]() is cls else None

    def put(self, cls: type, value: Known) -> Known:
        """Note what is known of a class, and return it."""
        number, known = id(cls), self._known

        def forget(reference: ref[type]) -> None:
            # Another class may have got the number by now.
            if number in known and known[number][0] is reference:
                del known[number]

        known[number] = ref(cls, forget), value
        return value

    def clear(self) -> None:
        """Forget all classes."""
        self._known.clear()
