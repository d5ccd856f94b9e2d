"""Type hints of the user's classes: they count where something may read them."""

import typing

import pytest

from resumable_search._keys.fingerprint import fingerprint


def reads_its_own(hint):
    class Settings:
        power: hint

        def kinds(self):
            return type(self).__annotations__

    return Settings


def base_reads(hint):
    class Base:
        def __init_subclass__(cls):
            cls.kinds = len(typing.get_type_hints(cls))

    class Settings(Base):
        power: hint

    return Settings


class ReadingType(type):
    """A metaclass of the user's."""


ReadingType.__module__ = "a_module_of_the_users"


def metaclass_reads(hint):
    return ReadingType("Settings", (), {"__annotations__": {"power": hint}})


@pytest.mark.parametrize("make", [reads_its_own, base_reads, metaclass_reads])
def test_hint_that_may_be_read_counts(make):
    """A class, a base class or a metaclass may make something of it."""
    one, again, other = (fingerprint(make(hint)) for hint in (int, int, float))
    assert one == again != other


def test_hint_that_nothing_reads_does_not_count():
    """A plain class with other hints is the same class."""

    def plain(hint):
        class Settings:
            power: hint = 1

        return Settings

    assert fingerprint(plain(int)) == fingerprint(plain(float))
