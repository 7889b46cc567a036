"""Key specifications: where they find keys, where they cannot, and what rows make of them."""

from __future__ import annotations

import pytest

from cacheapp.engine.keyspecs import (
    KeySpec,
    NotFound,
    Range,
    access,
    first_last_step,
    key_at,
    keys_after,
    keys_at,
    keys_counted_at,
    keys_somewhere,
)


def words(text: str) -> list[bytes]:
    return text.encode().split()


@pytest.mark.parametrize(
    ("spec", "line", "positions"),
    [
        (key_at(1, "RO"), "GET k", [1]),
        (keys_at(1, -1, 2, "OW"), "MSET a 1 b 2", [1, 3]),
        (keys_at(1, -2, 1, "RW"), "BLPOP a b 0", [1, 2]),
        (keys_counted_at(2, "RW"), "EVAL s 2 a b c", [3, 4]),
        (keys_after("STORE", 5, Range(0), "OW"), "G k 1 2 m store d", [6]),
        (keys_after("STORE", 5, Range(0), "OW"), "G k STORE 2 m", []),
        (keys_after("STREAMS", 1, Range(-1, 1, 2), "RO"), "XREAD STREAMS a b 0 0", [2, 3]),
        (keys_after("KEYS", -2, Range(-1), "RW"), "M h p KEYS d t KEYS a b", [7, 8]),
    ],
)
def test_a_specification_finds_keys(spec: KeySpec, line: str, positions: list[int]) -> None:
    assert list(spec.positions(words(line))) == positions


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        (key_at(2, "RO"), "RENAME a"),
        (keys_counted_at(2, "RW"), "EVAL s x a"),
        (keys_counted_at(2, "RW"), "EVAL s 2 a"),
        (keys_counted_at(2, "RW"), "EVAL s 0"),
        (keys_counted_at(2, "RW"), "EVAL s -1 a"),
        (keys_counted_at(2, "RW"), "EVAL s"),
        (keys_after("STORE", 1, Range(0), "OW"), "SORT STORE"),
        (keys_somewhere("OW", note="…"), "SORT k STORE d"),
    ],
)
def test_a_specification_says_where_it_cannot(spec: KeySpec, line: str) -> None:
    with pytest.raises(NotFound):
        spec.positions(words(line))


def test_an_access_answers_the_questions_of_acl() -> None:
    assert access("RW access update") is access("RW access update")
    assert (access("RW access update").reads, access("RW access update").writes) == (True, True)
    assert (access("RO").reads, access("RO").writes) == (False, False)
    assert (access("OW insert").reads, access("RM delete").writes) == (False, True)
    assert not access("RW not_key").is_key


def test_adjacent_ranges_are_one_and_others_are_missed() -> None:
    two = (key_at(1, "RO"), key_at(2, "OW"))
    assert first_last_step(two) == ((1, 2, 1), False)
    assert first_last_step((key_at(2, "OW"), keys_at(3, -1, 1, "RO"))) == ((2, -1, 1), False)
    assert first_last_step((key_at(1, "OW"), keys_counted_at(2, "RO"))) == ((1, 1, 1), True)
    assert first_last_step((key_at(1, "OW"), key_at(3, "RO"))) == ((1, 1, 1), True)
    assert first_last_step((keys_counted_at(1, "RO"),)) == ((0, 0, 0), True)
    assert first_last_step(()) == ((0, 0, 0), False)
