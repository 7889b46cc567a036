"""Arguments that several groups of commands share, where no contract test reaches them."""

from __future__ import annotations

import pytest

from cacheapp.engine.errors import CommandError
from cacheapp.engine.walking import counted_keys, picks
from tests.engine.conftest import Run


def test_picks() -> None:
    assert picks(5) == (5, False)
    assert picks(-5) == (5, True)


@pytest.mark.parametrize(
    ("fill", "ask"),
    [
        (("HSET", "key", "f", "v"), "HRANDFIELD"),
        (("SADD", "key", "m"), "SRANDMEMBER"),
        (("ZADD", "key", 1, "m"), "ZRANDMEMBER"),
    ],
)
def test_endless_repetition_is_refused_where_there_is_something_to_repeat(
    run: Run, fill: tuple[str | int, ...], ask: str
) -> None:
    assert run(ask, "key", -(2**62)) == []
    run(*fill)
    with pytest.raises(CommandError, match="ERR value is out of range"):
        run(ask, "key", -(2**62))


def test_counted_keys() -> None:
    find = counted_keys(2, 1)
    assert find([b"ZUNIONSTORE", b"to", b"2", b"a", b"b", b"WEIGHTS"]) == [1, 3, 4]
    for count in (b"0", b"3", b"x"):
        with pytest.raises(ValueError, match=count.decode()):
            find([b"ZUNIONSTORE", b"to", count, b"a", b"b"])
