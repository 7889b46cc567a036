"""CONFIG on both servers."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError


def refused(server: Server, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute("CONFIG", *args)
    return str(caught.value)


def got(server: Server, *patterns: str) -> dict[bytes, bytes]:
    flat = server.execute("CONFIG", "GET", *patterns)
    return dict(zip(flat[::2], flat[1::2], strict=True))


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("maxmemory", "256mb", b"268435456"),
        ("maxmemory", "1g", b"1000000000"),
        ("maxmemory-policy", "ALLKEYS-LFU", b"allkeys-lfu"),
        ("maxmemory-samples", "10", b"10"),
        ("lfu-log-factor", "20", b"20"),
        ("notify-keyspace-events", "KEA", b"AKE"),
        ("notify-keyspace-events", "$gKE", b"g$KE"),
        ("hz", "0", b"1"),
        ("hz", "100000", b"500"),
        ("set-max-intset-entries", "7", b"7"),
        ("list-max-listpack-size", "-5", b"-5"),
        ("proto-max-bulk-len", "1mb", b"1048576"),
        ("slowlog-log-slower-than", "-1", b"-1"),
    ],
)
def test_set_and_get(server: Server, name: str, given: str, shown: bytes) -> None:
    assert server.execute("CONFIG", "SET", name, given) == b"OK"
    assert got(server, name) == {name.encode(): shown}
    server.execute("CONFIG", "SET", "notify-keyspace-events", "")


def test_old_names_are_the_same_parameters(server: Server) -> None:
    server.execute("CONFIG", "SET", "hash-max-ziplist-entries", 9)
    assert got(server, "hash-max-listpack-entries") == {b"hash-max-listpack-entries": b"9"}
    assert got(server, "hash-max-ziplist-entries") == {b"hash-max-ziplist-entries": b"9"}


def test_several_at_once_or_none(server: Server) -> None:
    assert server.execute("CONFIG", "SET", "lfu-decay-time", 3, "lfu-log-factor", 4) == b"OK"
    assert got(server, "LFU-*") == {b"lfu-decay-time": b"3", b"lfu-log-factor": b"4"}
    assert refused(server, "SET", "lfu-decay-time", 7, "lfu-log-factor", "x") == (
        "ERR CONFIG SET failed (possibly related to argument 'lfu-log-factor') - "
        "argument couldn't be parsed into an integer"
    )
    assert got(server, "lfu-decay-time") == {b"lfu-decay-time": b"3"}


def test_get_of_several_patterns_and_of_nothing(server: Server) -> None:
    assert set(got(server, "hz", "maxmemory")) == {b"hz", b"maxmemory"}
    assert got(server, "nonsense") == {}
    assert server.raw(protocol=3).execute("CONFIG", "GET", "hz") == {b"hz": b"10"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("SET", "hz"), "ERR wrong number of arguments for 'config|set' command"),
        (("SET", "hz", 1, "hz"), "ERR syntax error"),
        (("GET",), "ERR wrong number of arguments for 'config|get' command"),
        (
            ("SET", "Nonsense", 1),
            "ERR Unknown option or number of arguments for CONFIG SET - 'Nonsense'",
        ),
        (
            ("SET", "databases", 4),
            (
                "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set "
                "immutable config"
            ),
        ),
        (
            ("SET", "hz", 5, "hz", 6),
            "ERR CONFIG SET failed (possibly related to argument 'hz') - duplicate parameter",
        ),
        (
            ("SET", "maxmemory", "lots"),
            (
                "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - "
                "argument must be a memory value"
            ),
        ),
        (
            ("SET", "maxmemory-policy", "x"),
            (
                "ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - "
                "argument(s) must be one of the following: volatile-lru, volatile-lfu, "
                "volatile-random, volatile-ttl, "
                "allkeys-lru, allkeys-lfu, allkeys-random, noeviction"
            ),
        ),
        (
            ("SET", "maxmemory-samples", 0),
            (
                "ERR CONFIG SET failed (possibly related to argument 'maxmemory-samples') - "
                "argument must be between 1 and 2147483647 inclusive"
            ),
        ),
        (
            ("SET", "notify-keyspace-events", "Q"),
            (
                "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - "
                "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
            ),
        ),
        (("REWRITE",), "ERR The server is running without a config file"),
        (("NONSENSE",), "ERR unknown subcommand 'NONSENSE'. Try CONFIG HELP."),
    ],
)
def test_refused(server: Server, args: tuple[str | int, ...], message: str) -> None:
    assert refused(server, *args) == message


def test_resetstat_sets_counters_to_zero(server: Server) -> None:
    server.execute("GET", "missing")
    assert b"keyspace_misses:1\r\n" in server.execute("INFO", "stats")
    assert server.execute("CONFIG", "RESETSTAT") == b"OK"
    assert b"keyspace_misses:0\r\n" in server.execute("INFO", "stats")


def test_keyspace_events_go_to_both_channels(server: Server) -> None:
    server.execute("CONFIG", "SET", "notify-keyspace-events", "KEA")
    try:
        listener = server.raw(protocol=3)
        listener.execute("PSUBSCRIBE", "__key*__:*")
        server.execute("SET", "key", 1)
        assert listener.receive()[2:] == [b"__keyspace@0__:key", b"set"]
        assert listener.receive()[2:] == [b"__keyevent@0__:set", b"key"]
        server.execute("EXPIRE", "key", -1)
        assert listener.receive()[2:] == [b"__keyspace@0__:key", b"del"]
    finally:
        server.execute("CONFIG", "SET", "notify-keyspace-events", "")
