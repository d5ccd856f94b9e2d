"""A module of the user's that all programs share."""

TOOLS = '''\
"""Settings of the programs."""
import collections
import enum

Point = collections.namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Setting:
    def __init__(self, value):
        self.value = value

    def get(self):
        return self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Temperature:
    """No estimator, though it has parameters; they do not tell all."""

    def __init__(self, value):
        self.hidden = value

    def get_params(self, deep=True):
        return {}

    def set_params(self, **params):
        return self


class Spring:
    month = 3


class Autumn:
    month = 9


def double(x):
    return x * 2


def halve(x):
    return x / 2
'''
