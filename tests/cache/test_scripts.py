"""The backend's scripts and their native forms do the same, errors included."""

from __future__ import annotations

from cacheapp.cache.scripts import INCR, MOVE, REPLACE
from tests.native_forms import BothForms


def test_incr() -> None:
    both = BothForms()
    assert both.run(INCR, [b"n"], [5, 0]) is None
    assert both.run(INCR, [b"n"], [5, 1]) == b"5"
    both.command("PEXPIRE", "n", 1000)
    assert both.run(INCR, [b"n"], [-7, 0]) == b"-2"
    both.advance(2)
    assert both.run(INCR, [b"n"], [1, 0]) is None
    both.command("SET", "n", "9223372036854775807")
    assert both.run(INCR, [b"n"], [1, 0]).startswith("error: ")
    both.command("LPUSH", "list", "a")
    assert both.run(INCR, [b"list"], [1, 0]).startswith("error: ")


def test_move() -> None:
    both = BothForms()
    assert both.run(MOVE, [b"a", b"b"], [b"1", b"2"]) == 0
    both.command("SET", "a", "1")
    assert both.run(MOVE, [b"a", b"b"], [b"0", b"2"]) == 0
    assert both.run(MOVE, [b"a", b"b"], [b"1", b"2"]) == 1
    both.command("PEXPIRE", "b", 5000)
    assert both.run(MOVE, [b"b", b"b"], [b"2", b"3"]) == 1
    assert both.run(MOVE, [b"b", b"c"], [b"3", b"4"]) == 1


def test_replace() -> None:
    both = BothForms()
    assert both.run(REPLACE, [b"a"], [b"1", b"2"]) == 0
    both.command("SET", "a", "1", "PX", 5000)
    assert both.run(REPLACE, [b"a"], [b"1", b"2"]) == 1
    assert both.run(REPLACE, [b"a"], [b"1", b"2"]) == 0
