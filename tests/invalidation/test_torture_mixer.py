"""The torture run's mixer: what it lets pass, and what it does to messages."""

from __future__ import annotations

import random
from collections import Counter

from tests.invalidation.torture.mixer import NIL, Mixer, entries_of, pack, parse


def entry(number: int) -> bytes:
    return b"*2\r\n$3\r\n1-%d\r\n*2\r\n$1\r\nk\r\n$1\r\na\r\n" % number


def reply(*numbers: int) -> bytes:
    entries = b"".join(map(entry, numbers))
    return b"*1\r\n*2\r\n$6\r\nstream\r\n*%d\r\n%b" % (len(numbers), entries)


def mixer(seed: int = 1) -> Mixer:
    return Mixer(random.Random(seed), Counter())


OTHERS = b"+OK\r\n:1\r\n$-1\r\n$4\r\n\r\n\r\n\r\n*-1\r\n*0\r\n*2\r\n*1\r\n:1\r\n-ERR no\r\n"


def test_all_passes_as_it_is_in_whatever_pieces_it_comes() -> None:
    data = OTHERS + reply(1, 2) + OTHERS + reply(3)
    one = mixer()
    assert b"".join(one.feed(data[at : at + 1]) for at in range(len(data))) == data
    other = mixer()
    other.mixes = True
    assert other.feed(OTHERS) == OTHERS


def test_messages_are_found() -> None:
    parsed = parse(reply(1, 2), 0)
    assert parsed is not None
    found = entries_of(parsed[0])
    assert found is not None
    assert [pack(each) for each in found] == [entry(1), entry(2)]
    assert parse(reply(1)[:-1], 0) is None


def test_messages_come_in_another_order_twice_and_late() -> None:
    seen = set()
    for seed in range(100):
        one = mixer(seed)
        one.feed(reply(1, 2))
        one.mixes = True
        seen.add(one.feed(reply(3, 4)))
    assert {reply(3, 4), reply(4, 3), reply(3), reply(4)} < seen
    assert any(entry(1) in each and entry(3) in each for each in seen)
    lone = mixer()
    lone.mixes = True
    assert NIL in {lone.feed(reply(5)) for _ in range(100)}
