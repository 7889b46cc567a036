"""What a check says of a stream, without a server; the reading is in tests/contract."""

from __future__ import annotations

import pytest

from cacheapp.channels.groups import Group, Subscription
from cacheapp.channels.reader import Reader


@pytest.mark.parametrize(
    ("last", "before", "position", "is_there", "gaps", "ends_at", "is_fresh"),
    [
        (b"12", 12, 12, True, 0, 12, True),
        (b"13", 12, 12, True, 0, 12, False),
        # A sender of this process moved on while the server was asked.
        (b"12", 12, 13, True, 0, 13, False),
        (b"11", 12, 12, True, 1, 11, True),
        (b"", 12, 12, False, 0, 12, False),
        (b"!", 12, 12, True, 1, 0, False),
        (b"!", 0, 0, True, 0, 0, False),
        (b"12", 0, 0, True, 0, 12, True),
    ],
)
def test_a_stream_is_compared_with_what_was_read(
    last: bytes, before: int, position: int, is_there: bool, gaps: int, ends_at: int, is_fresh: bool
) -> None:
    told: list[str] = []
    group = Group("g", b"g", position)
    subscription = Subscription("g", lambda *_: None, told.append)
    group.subscriptions.append(subscription)
    assert Reader._compare(None, group, last, before, 5.0) is is_there  # type: ignore[arg-type]
    assert len(told) == gaps
    assert group.position == ends_at
    assert (subscription.read_at == 5.0) is is_fresh
