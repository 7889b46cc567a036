"""The set as a structure: what an intset can hold, sticky encodings, algebra, picks."""

from __future__ import annotations

from collections import Counter

import pytest

from cacheapp.engine.structures.set import Set, intersection, intersection_size, union

MAX = 512


def of(*members: bytes) -> Set:
    return Set.of(members, MAX)


@pytest.mark.parametrize(
    ("member", "encoding"),
    [
        (b"0", b"intset"),
        (b"-1", b"intset"),
        (b"9223372036854775807", b"intset"),
        (b"-9223372036854775808", b"intset"),
        (b"9223372036854775808", b"hashtable"),
        (b"-0", b"hashtable"),
        (b"01", b"hashtable"),
        (b"+1", b"hashtable"),
        (b" 1", b"hashtable"),
        (b"1\n", b"hashtable"),
        (b"", b"hashtable"),
        (b"a", b"hashtable"),
    ],
)
def test_what_an_intset_holds(member: bytes, encoding: bytes) -> None:
    found = Set()
    found.add(member, MAX)
    assert found.encoding({}) == encoding
    assert of(member).encoding({}) == encoding


def test_an_intset_is_shown_in_numeric_order() -> None:
    assert of(b"10", b"9", b"-5").members() == [b"-5", b"9", b"10"]
    assert of(b"10", b"9", b"-5").scan(0, 1) == (0, [b"-5", b"9", b"10"])


def test_the_encoding_sticks_and_only_news_count() -> None:
    found = of(b"1", b"2")
    assert found.add(b"1", 1) is False
    assert found.encoding({}) == b"intset"
    assert found.add(b"3", 2) is True
    assert found.encoding({}) == b"hashtable"
    found.remove(b"3")
    assert found.copy().encoding({}) == b"hashtable"
    assert Set.of([b"1", b"2", b"3"], 2).encoding({}) == b"hashtable"


def test_algebra() -> None:
    one, two, three = of(b"1", b"2", b"3", b"10"), of(b"3", b"10", b"2"), of(b"10", b"x", b"2")
    assert union([one, three]) == {b"1", b"2", b"3", b"10", b"x"}
    assert intersection([one, two]) == [b"2", b"3", b"10"]
    assert sorted(intersection([one, two, three])) == [b"10", b"2"]
    assert one.minus([two]) == {b"1"}
    assert one.minus([]) == {b"1", b"2", b"3", b"10"}
    assert intersection_size([one, two, three], 0) == 2
    assert intersection_size([one, two, three], 1) == 1


@pytest.mark.parametrize("count", [10, 300])
def test_scan_and_random_follow_changes(count: int) -> None:
    found = Set.of((b"m%d" % number for number in range(count)), MAX)
    found.random_members(1, repeat=True)
    found.add(b"late", MAX)
    assert found.remove(b"m0") is True
    assert found.remove(b"m0") is False
    expected = set(found.members())
    cursor, members = found.scan(0, 7)
    while cursor:
        cursor, more = found.scan(cursor, 7)
        members += more
    assert sorted(members) == sorted(expected)
    assert set(found.random_members(count + 5, repeat=False)) == expected
    assert len(set(found.random_members(4, repeat=False))) == 4


@pytest.mark.parametrize("count", [20, 100])
def test_picks_are_even(count: int) -> None:
    found = Set.of((b"m%d" % number for number in range(count)), MAX)
    counts = Counter(found.random_member() for _ in range(count * 200))
    assert len(counts) == count
    # Some ten standard deviations either way: fails for a bias, not by chance.
    assert all(60 < each < 340 for each in counts.values())


def test_memory_counts_members_and_the_index() -> None:
    large = Set.of((b"m%d" % number for number in range(300)), MAX)
    assert large.memory_bytes(0) > of(b"1" * 19).memory_bytes(0) > Set().memory_bytes(0)
    before = large.memory_bytes(5)
    large.random_member()
    assert large.memory_bytes(5) > before
