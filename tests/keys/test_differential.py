"""Pairs of programs on one checkpoint, judged against scikit-learn."""

import pytest

from tests.keys.differential.grammar import generate
from tests.keys.differential.known import reason
from tests.keys.differential.programs import Pair, Program
from tests.keys.differential.runner import judge, run_pairs


def _assert_sound(verdicts):
    bad = [
        f"{verdict.outcome}: {', '.join(verdict.pair.kind)}: {verdict.why}"
        for verdict in verdicts
        if verdict.outcome != "right" and reason(verdict) is None
    ]
    assert not bad, "\n".join(bad)


def test_the_grammar_makes_the_same_pairs_from_the_same_seed():
    """A seed stands for more than 500 different pairs, and another one for others."""
    pairs = generate()
    assert len({(str(pair.a.files), str(pair.b)) for pair in pairs}) == len(pairs) > 500
    assert pairs == generate()
    assert pairs != generate(seed=1)


def test_a_sample_of_pairs(tmp_path):
    """Version B of a program gets no score of version A that it would not compute."""
    pairs = [pair for pair in generate() if pair.mode != "own"]
    _assert_sound(run_pairs(pairs[7::56], tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_larger_sample_of_pairs(tmp_path):
    """The same for a sample that has pairs in processes of their own."""
    pairs = generate()
    own = [pair for pair in pairs if pair.mode == "own"]
    others = [pair for pair in pairs if pair.mode != "own"]
    _assert_sound(run_pairs(own[::6] + others[3::30], tmp_path))


PROGRAM = Program(files={}, script="p_script.py")


def _seen(a, b, n_run, **more):
    ours = {"scores": [a], "n_run": 2, "n_resumed": 0}
    again = {"scores": [b], "n_run": n_run, "n_resumed": 2 - n_run}
    return {
        "a": {"ours": ours, "plain": {"scores": [a]}},
        "b": {"ours": again, "plain": {"scores": [b]}, **more},
    }


@pytest.mark.parametrize(
    ("outcome", "reuse", "seen"),
    [
        ("right", True, _seen("0x1p0", "0x1p0", 0)),
        ("right", False, _seen("0x1p0", "0x1p1", 2)),
        ("needless", True, _seen("0x1p0", "0x1p0", 2)),
        ("wrong", False, _seen("0x1p0", "0x1p0", 0, plain={"scores": ["0x1p1"]})),
        ("void", False, _seen("0x1p0", "0x1p0", 2)),
        ("void", True, _seen("0x1p0", "0x1p1", 2)),
        ("void", True, _seen("0x1p0", "0x1p0", 0, plain={"error": "E"})),
        ("void", True, {}),
        (
            "refused",
            True,
            _seen("0x1p0", "0x1p0", 0, ours={"error": "E", "can_travel": True}),
        ),
        (
            "unsent",
            True,
            _seen("0x1p0", "0x1p0", 0, ours={"error": "E", "can_travel": False}),
        ),
    ],
)
def test_a_pair_is_judged_by_scikit_learn(outcome, reuse, seen):
    """A score that differs from scikit-learn's is wrong, whatever else was seen."""
    pair = Pair(kind=("kind",), a=PROGRAM, b=PROGRAM, reuse=reuse)
    assert judge(pair, seen).outcome == outcome


def test_a_stale_score_in_the_same_process_is_wrong():
    """What ran after an edit in a process is judged, too."""
    pair = Pair(kind=("kind",), a=PROGRAM, b=PROGRAM, reuse=False, mode="session")
    seen = _seen("0x1p0", "0x1p1", 0)
    assert judge(pair, {**seen, "session": seen["a"]}).outcome == "wrong"
