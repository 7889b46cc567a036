"""Names of channels and keys."""

from __future__ import annotations

from cacheapp.channels.names import Keys, channel_name, new_process, owner_of


def test_whose_a_channel_is() -> None:
    process = new_process()
    assert owner_of(channel_name("a.b", process)) == process
    assert owner_of("general.x") is None
    assert owner_of("plain!x") == "plain"


def test_a_prefix_that_looks_like_a_glob() -> None:
    keys = Keys("a*b[1]?")
    assert keys.group("g") == b"a*b[1]?:g:g"
    assert keys.everything == rb"a\*b\[1\]\?:*"
