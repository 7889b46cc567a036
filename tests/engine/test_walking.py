"""Arguments that several groups of commands share, where no contract test reaches them."""

from __future__ import annotations

import pytest

from cacheapp.engine.errors import CommandError
from cacheapp.engine.walking import picks
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
