"""Pairs of programs from a seed: where a value sits, how it is reached, and more."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from typing import TypeVar

from .carriers import CARRIERS
from .programs import REACHES, SEATS, Pair, Program, assemble
from .special import special_pairs
from .values import VALUES

__all__ = ["CHANGES", "generate"]

T = TypeVar("T")


def _in_all_files(program: Program, change: Callable[[str], str]) -> Program:
    return replace(
        program, files={name: change(text) for name, text in program.files.items()}
    )


def _commented(program: Program) -> Program:
    """Add comments and empty lines, also before the first."""

    def comment(text: str) -> str:
        lines = [
            line.replace("    return", "    # as agreed\n\n    return", 1)
            if line.startswith("    return")
            else line
            for line in text.splitlines()
        ]
        return "# A comment.\n\n\n" + "\n".join(lines) + "\n# The end.\n"

    return _in_all_files(program, comment)


def _documented(program: Program) -> Program:
    """Add docstrings to functions and the module."""

    def document(text: str) -> str:
        lines = []
        for line in text.splitlines():
            lines.append(line)
            if line.startswith("def ") and line.endswith(":"):
                lines.append('    """Do it, and say so."""')
        return '"""A docstring."""\n' + "\n".join(lines) + "\n"

    return _in_all_files(program, document)


def _extended(program: Program) -> Program:
    """Add what no score depends on."""
    more = (
        "\n\nUNUSED = [1, 2]\n\n\ndef unused():\n    return UNUSED\n"
        "\n\nclass Unused:\n    k = UNUSED\n"
    )
    return _in_all_files(program, lambda text: text + more)


def _reordered(program: Program) -> Program:
    """Import other modules first, and in another order."""
    first = "import xml.dom, json, difflib\nimport sklearn.cluster\n"
    return _in_all_files(program, lambda text: first + text)


def _renamed(program: Program) -> Program:
    """Give the script another file name."""
    files = dict(program.files)
    script = program.script.replace("_script", "_renamed")
    files[script] = files.pop(program.script)
    return replace(program, files=files, script=script)


def _search_parameters(program: Program) -> Program:
    """Change parameters of the search that no score depends on."""
    return replace(program, search={"verbose": 0, "error_score": 0, "pre_dispatch": 1})


def _same(program: Program) -> Program:
    """Change nothing but the process and its hash seed; files are written anew."""
    return program


#: What changes of a program without a change of its meaning.
CHANGES: dict[str, Callable[[Program], Program]] = {
    "nothing": _same,
    "comments": _commented,
    "docstrings": _documented,
    "code that is not used": _extended,
    "order of imports": _reordered,
    "name of the script": _renamed,
    "parameters of the search": _search_parameters,
}
#: Besides: another value (no reuse), another expression of the same value, both with
#: a change from above.
_VALUE_CHANGES = (*["another value"] * 5, *["another expression"] * 2)


def _cycle(items: Sequence[T], dice: random.Random) -> Iterator[T]:
    """Give the items in an order from the dice, then in another one, ..."""
    while True:
        yield from dice.sample(items, len(items))


def _grown(n_pairs: int, seed: int) -> Iterator[Pair]:
    dice = random.Random(seed)
    values = _cycle(list(VALUES), dice)
    reaches = _cycle(list(REACHES), dice)
    seats = _cycle(list(SEATS), dice)
    changes = _cycle([*_VALUE_CHANGES, *CHANGES], dice)
    sessions = cycle([False, False, False, True])
    places = _cycle(
        [(name, home) for name in CARRIERS for home in ("script", "module")], dice
    )
    for number in range(n_pairs):
        (place, home), name = next(places), next(values)
        reach, seat, change = next(reaches), next(seats), next(changes)
        carrier, value = CARRIERS[place], VALUES[name]
        if change == "another expression" and (carrier.in_code or carrier.in_module):
            change = "another value"
        program = {
            expression: assemble(
                f"p{number:04}",
                carrier,
                value,
                expression=f"({expression})",
                home=home,
                reach=reach,
                seat=seat,
            )
            for expression in (value.a, value.b, value.equal)
        }
        a = program[value.a]
        kind = (change, place, name, f"in a {home}", reach, seat)
        if change == "another value":
            mode = "session" if next(sessions) else "shared"
            yield Pair(kind=kind, a=a, b=program[value.b], reuse=False, mode=mode)
        elif change == "another expression":
            yield Pair(kind=kind, a=a, b=program[value.equal], reuse=True)
        else:
            yield Pair(kind=kind, a=a, b=CHANGES[change](a), reuse=True)


def generate(n_pairs: int = 600, seed: int = 0) -> list[Pair]:
    """Generate pairs of programs.

    Parameters
    ----------
    n_pairs : int, default=600
        How many grow from the grammar; the special ones come on top.
    seed : int, default=0
        Decides which ones.
    """
    return [*special_pairs(), *_grown(n_pairs, seed)]
