"""The scripts of sessions and their native forms do the same."""

from __future__ import annotations

from cacheapp.sessions.scripts import CYCLE, SAVE
from tests.native_forms import BothForms

FIELDS = [b"@", b"meta", b".a", b"1"]


def test_save() -> None:
    both = BothForms()
    assert both.run(SAVE, [b"s"], [b"update", 1000, 2, *FIELDS, 0]) == [0]
    assert both.run(SAVE, [b"s"], [b"create", 1000, 2, *FIELDS, 0]) == [1]
    assert both.run(SAVE, [b"s"], [b"create", 1000, 2, *FIELDS, 0]) == [0]
    assert both.run(SAVE, [b"s"], [b"update", 2000, 1, b".b", b"2", 1, b".a"]) == [1]
    assert both.run(SAVE, [b"s"], [b"update", 2000, 0, 0]) == [1]
    assert both.run(SAVE, [b"s"], [b"replace", 2000, 1, b"@", b"m", 0]) == [1]
    assert both.sides[0].client.hgetall("s") == {b"@": b"m"}
    assert both.run(SAVE, [b"s"], [b"update", 0, 1, b".c", b"3", 0]) == [1]
    assert both.sides[0].client.exists("s") == 0


def test_save_with_an_index() -> None:
    both = BothForms()
    for number in range(5):
        both.advance(1)
        name = b"n%d" % number
        gone = both.run(
            SAVE, [b"h:" + name, b"i"], [b"create", 9000, 1, b"@", b"m", 0, name, 9000, 3, b"h:"]
        )
        assert gone == [1, *([b"n%d" % (number - 3)] if number >= 3 else [])]
    assert both.sides[0].client.exists("h:n0", "h:n1") == 0
    both.advance(100)
    assert both.run(
        SAVE, [b"h:z", b"i"], [b"create", 10, 1, b"@", b"m", 0, b"z", 10, 0, b"h:"]
    ) == [1]
    assert both.sides[0].client.zrange("i", 0, -1) == [b"z"]


def test_the_newest_is_never_the_one_that_goes() -> None:
    both = BothForms()
    long, short = [90_000, 1, b"h:"], [10, 1, b"h:"]
    both.run(SAVE, [b"h:a", b"i"], [b"create", 90_000, 1, b"@", b"m", 0, b"a", *long])
    assert both.run(SAVE, [b"h:b", b"i"], [b"create", 10, 1, b"@", b"m", 0, b"b", *short]) == [
        1,
        b"a",
    ]


def test_cycle() -> None:
    both = BothForms()
    held, fresh = [2, b"@", b"m", b".a", b"1"], [2, b"@", b"n", b".a", b"2"]
    assert both.run(CYCLE, [b"s", b"t"], [1000, *held, *fresh, b"s"]) == -1
    both.command("HSET", "s", "@", "m", ".a", "1")
    both.command("ZADD", "i", "5", "s")
    assert both.run(CYCLE, [b"s", b"t"], [1000, 1, b"@", b"m", *fresh, b"s"]) == 0
    changed = [2, b"@", b"m", b".a", b"0"]
    assert both.run(CYCLE, [b"s", b"t"], [1000, *changed, *fresh, b"s"]) == 0
    assert both.run(CYCLE, [b"s", b"t", b"i"], [1000, *held, *fresh, b"s"]) == 1
    assert both.sides[0].client.hgetall("t") == {b"@": b"n", b".a": b"2"}
    assert both.sides[0].client.exists("s", "i") == 0
    both.command("HSET", "s", "@", "m", ".a", "1")
    assert both.run(CYCLE, [b"s", b"t"], [1000, *held, *fresh, b"s"]) == 0
