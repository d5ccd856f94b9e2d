"""Free the flow of a program from the compiler's choices, and number it.

A program is a graph: each node has a label, what the instruction does, and the places
of the nodes that may follow it. A place outside of the graph is an end.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from .encoding import encode_bytes

Node = tuple[bytes, tuple[int, ...]]  # what it does, and what may follow
_STORES = (b"STORE_FAST ", b"POP_TOP ", b"SWAP ")


def canonical(graph: list[Node]) -> Iterator[bytes]:
    """Encode a program: the same for each way to lay it out."""
    return _canonical(_with_merged_stores(_threaded(graph)))


def _threaded(graph: list[Node]) -> list[Node]:
    """Let a test whose outcome is known from the test before it go straight there.

    ``a and b or c`` tests a false ``a`` twice. The compiler leaves the second test
    out, but only where both stand on the same line.
    """
    result = list(graph)
    changed = True
    while changed:
        changed = False
        for index, (label, following) in enumerate(result):
            threaded = _threaded_node(result, label, following)
            if threaded != (label, following):
                result[index] = threaded
                changed = True
    return result


def _threaded_node(graph: list[Node], label: bytes, following: tuple[int, ...]) -> Node:
    kind, _, rest = label.partition(b" ")
    if kind in (b"JUMP_IF_FALSE_OR_POP", b"JUMP_IF_TRUE_OR_POP"):  # Python 3.11
        truth = kind == b"JUMP_IF_TRUE_OR_POP"
        popped, kept, *handler = following
        if not 0 <= kept < len(graph):
            return label, following
        then, targets = graph[kept][0].partition(b" ")[0], graph[kept][1]
        if then == kind and targets[1] != kept:
            return label, (popped, targets[1], *handler)
        if then in (b"JUMP_IF_FALSE_OR_POP", b"JUMP_IF_TRUE_OR_POP"):
            known = targets[0]
        elif then == b"POP_JUMP_IF_FALSE":
            known = targets[0 if truth else 1]
        else:
            return label, following
        pair = (known, popped) if truth else (popped, known)
        return b"POP_JUMP_IF_FALSE " + rest, (*pair, *handler)
    if kind == b"COPY":  # Python 3.12 and later
        branch = _repeated_test(graph, label, following)
        if branch is not None:
            test, (yes, no, *handler) = graph[branch]
            yes, no = _outcome(graph, yes, 0), _outcome(graph, no, 1)
            graph[branch] = test, (yes, no, *handler)
    return label, following


def _repeated_test(
    graph: list[Node], label: bytes, following: tuple[int, ...]
) -> int | None:
    """Find the branch of a test that leaves the tested value on the stack."""
    if label != b"COPY i1;":
        return None
    index = following[0]
    if 0 <= index < len(graph) and graph[index][0].startswith(b"TO_BOOL"):
        index = graph[index][1][0]
    if 0 <= index < len(graph) and graph[index][0].startswith(b"POP_JUMP_IF_FALSE"):
        return index
    return None


def _outcome(graph: list[Node], index: int, side: int) -> int:
    seen = set[int]()
    while 0 <= index < len(graph) and index not in seen:
        seen.add(index)
        branch = _repeated_test(graph, *graph[index])
        if branch is None:
            break
        index = graph[branch][1][side]
    return index


def _with_merged_stores(graph: list[Node]) -> list[Node]:
    """Key a run of stores, pops and swaps by what it stores.

    In ``a, b = x, y`` the compiler orders the stores by the lines of the targets.
    """
    return [
        _merged_stores(graph, index) if label.startswith(_STORES) else (label, then)
        for index, (label, then) in enumerate(graph)
    ]


def _merged_stores(graph: list[Node], index: int) -> Node:
    stack: list[int] = []  # the top first; by place before the run
    touched = 0
    stored: dict[bytes, int] = {}
    while 0 <= index < len(graph) and graph[index][0].startswith(_STORES):
        label, (index,) = graph[index]
        kind, _, argument = label.partition(b" ")
        reach = int(argument[1:-1], 16) if kind == b"SWAP" else 1
        while len(stack) < reach:
            stack.append(touched)
            touched += 1
        if kind == b"SWAP":
            stack[0], stack[reach - 1] = stack[reach - 1], stack[0]
        elif kind == b"STORE_FAST":
            stored[argument] = stack.pop(0)
        else:
            del stack[0]
    return b"STORES %r %r" % (sorted(stored.items()), stack), (index,)


def _canonical(graph: list[Node]) -> Iterator[bytes]:
    """Merge instructions that nothing can tell apart, and number the rest by visit.

    The compiler copies the ends of blocks and moves blocks around depending on line
    numbers; what is left after merging (the smallest equivalent automaton) does not.
    """
    end = len(graph)
    colours = [*_numbered(label for label, _following in graph), -2, -3]
    count = 0
    while count != len(set(colours)):
        count = len(set(colours))
        colours[:end] = _numbered(
            (colours[i], *(colours[j] for j in following))
            for i, (_label, following) in enumerate(graph)
        )
    order: dict[int, int] = {}
    stack = [0]
    while stack:
        index = stack.pop()
        known = colours[index] in order
        yield b"%d:" % order.setdefault(colours[index], len(order))
        if not known and 0 <= index < end:
            label, following = graph[index]
            yield encode_bytes(label)
            stack.extend(reversed(following))


def _numbered(values: Iterable[Any]) -> list[int]:
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]
