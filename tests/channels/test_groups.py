"""Groups: numbers, gaps and members, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.channels.groups import (
    Group,
    Member,
    Subscription,
    entry_fields,
    number_of,
    read_entry,
)


def group_and_log() -> tuple[Group, list[Any]]:
    group = Group("g", b"g", 10)
    log: list[Any] = []
    subscription = Subscription("g", lambda message, number: log.append(number), log.append)
    group.subscriptions.append(subscription)
    return group, log


def test_each_number_once_and_a_gap_between_those_that_do_not_follow() -> None:
    group, log = group_and_log()
    assert [group.follow(number) for number in (10, 11, 12, 11, 12)] == [
        *(False, True, True, False, False)
    ]
    assert log == []
    assert group.follow(15)
    assert log == ["entries 13 to 14 are gone"]
    assert group.position == 15


def test_members_by_number_and_time() -> None:
    group, _ = group_and_log()
    group.members = {
        "old": Member(1, 5, 100.0),
        "new": Member(2, 11, 100.0),
        "left": Member(3, 5, 100.0, until=11),
        "expired": Member(4, 5, 1.0),
    }
    assert list(group.recipients(11, 50.0)) == [("old", 1), ("left", 3)]
    assert list(group.recipients(12, 50.0)) == [("old", 1), ("new", 2)]
    assert sorted(group.members) == ["new", "old"]


def test_entries() -> None:
    field, value = entry_fields(b"packed")
    entry = read_entry(b"1-42", [field, value])
    assert (entry.number, entry.packed) == (42, b"packed")
    assert entry.sent_us > 1e15
    assert read_entry(b"1-43", [b"opened", b"1"]).packed is None
    with pytest.raises(ValueError, match="1700000000000-0"):
        number_of(b"1700000000000-0")
