"""What Redis has added since 7.0, on the engine alone: the redis-server of these tests is 7.0.

The public documentation of 7.2 and 7.4 is what these tests were written from. Each runs in the
process and over TCP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cacheapp.engine.engine import Engine
from cacheapp.engine.version import REDIS_VERSION
from tests.engine_raw import EngineRaw
from tests.raw import Raw, ReplyError, SocketRaw
from tests.server.running import RunningServer


@pytest.fixture(params=[2, 3])
def protocol(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture(params=["process", "tcp"])
def raw(request: pytest.FixtureRequest, protocol: int) -> Iterator[Raw]:
    """A connection to an engine that is empty."""
    if request.param == "process":
        raw: Raw = EngineRaw(Engine(), protocol)
        yield raw
        raw.close()
        return
    with RunningServer() as server:
        raw = SocketRaw("127.0.0.1", server.port, protocol)
        yield raw
        raw.close()


def refused(raw: Raw, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


def test_the_version(raw: Raw) -> None:
    hello = raw.execute("HELLO")
    fields = hello if isinstance(hello, dict) else dict(zip(hello[::2], hello[1::2], strict=True))
    assert fields[b"server"] == b"redis"
    assert fields[b"version"] == REDIS_VERSION.encode()
    assert f"redis_version:{REDIS_VERSION}\r\n".encode() in raw.execute("INFO", "server")
    assert raw.execute("EVAL", "return redis.REDIS_VERSION", 0) == REDIS_VERSION.encode()
    assert REDIS_VERSION.encode() in raw.execute("LOLWUT")
    assert tuple(map(int, REDIS_VERSION.split("."))) >= (7, 4)


def score(value: float, protocol: int) -> Any:
    return value if protocol == 3 else b"%.17g" % value


def test_ranks_with_scores(raw: Raw, protocol: int) -> None:
    raw.execute("ZADD", "z", 1, "a", "2.5", "b", "inf", "c")
    assert raw.execute("ZRANK", "z", "b") == 1
    assert raw.execute("ZRANK", "z", "b", "withscore") == [1, score(2.5, protocol)]
    assert raw.execute("ZREVRANK", "z", "a", "WITHSCORE") == [2, score(1, protocol)]
    assert raw.execute("ZREVRANK", "z", "c", "WITHSCORE") == [0, score(float("inf"), protocol)]
    assert raw.execute("ZRANK", "z", "none", "WITHSCORE") is None
    assert raw.execute("ZREVRANK", "none", "a", "WITHSCORE") is None
    assert refused(raw, "ZRANK", "z", "a", "WITHSCORES") == "ERR syntax error"
    assert refused(raw, "ZREVRANK", "z", "a", "WITHSCORE", "x") == (
        "ERR wrong number of arguments for 'zrevrank' command"
    )


def test_hscan_without_values(raw: Raw) -> None:
    raw.execute("HSET", "h", "a", 1, "b", 2, "NOVALUES", 3)
    cursor, fields = raw.execute("HSCAN", "h", 0, "novalues")
    assert (cursor, sorted(fields)) == (b"0", [b"NOVALUES", b"a", b"b"])
    assert raw.execute("HSCAN", "h", 0, "NOVALUES", "MATCH", "a", "COUNT", 100)[1] == [b"a"]
    assert raw.execute("HSCAN", "h", 0, "MATCH", "NOVALUES")[1] == [b"NOVALUES", b"3"]
    assert raw.execute("HSCAN", "none", 0, "NOVALUES") == [b"0", []]
    elsewhere = "ERR NOVALUES option can only be used in HSCAN"
    raw.execute("SADD", "s", 1)
    raw.execute("ZADD", "z", 1, "a")
    for command in (("SCAN", 0), ("SSCAN", "s", 0), ("ZSCAN", "z", 0)):
        assert refused(raw, *command, "NOVALUES") == elsewhere
    assert refused(raw, "HSCAN", "h", 0, "NOVALUES", "MATCH") == "ERR syntax error"


def test_the_last_entry_of_a_stream(raw: Raw, protocol: int) -> None:
    raw.execute("XADD", "log", "1-1", "a", 1)
    raw.execute("XADD", "log", "2-1", "a", 2)
    last = [[b"2-1", [b"a", b"2"]]]
    expected = {b"log": last} if protocol == 3 else [[b"log", last]]
    assert raw.execute("XREAD", "STREAMS", "log", "none", "+", "+") == expected
    assert raw.execute("XREAD", "COUNT", 10, "STREAMS", "log", "+") == expected
    raw.execute("XDEL", "log", "2-1")
    assert raw.execute("XREAD", "STREAMS", "log", "+") is not None
    raw.execute("XDEL", "log", "1-1")
    assert raw.execute("XREAD", "STREAMS", "log", "+") is None


def test_killing_old_clients(raw: Raw) -> None:
    assert raw.execute("CLIENT", "KILL", "MAXAGE", 1000) == 0
    assert raw.execute("CLIENT", "KILL", "MAXAGE", 1000, "SKIPME", "no") == 0
    for wrong in ("x", "1.5"):
        assert "maxage" in refused(raw, "CLIENT", "KILL", "MAXAGE", wrong)
    assert refused(raw, "CLIENT", "KILL", "MAXAGE", 0) == "ERR maxage should be greater than 0"


def test_reading_without_a_trace(raw: Raw) -> None:
    raw.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    raw.execute("SET", "k", 1)
    before = raw.execute("OBJECT", "FREQ", "k")
    assert raw.execute("CLIENT", "NO-TOUCH", "ON") == b"OK"
    assert b" flags=T " in raw.execute("CLIENT", "INFO")
    for _ in range(100):
        raw.execute("GET", "k")
    assert raw.execute("OBJECT", "FREQ", "k") == before
    raw.execute("CLIENT", "NO-TOUCH", "OFF")
    assert b" flags=N " in raw.execute("CLIENT", "INFO")
    assert refused(raw, "CLIENT", "NO-TOUCH", "x") == "ERR syntax error"


def test_a_client_says_what_library_it_is(raw: Raw) -> None:
    raw.execute("CLIENT", "SETINFO", "lib-name", "redis-py(x;y)")
    raw.execute("CLIENT", "SETINFO", "LIB-VER", "8.1.0")
    assert b" lib-name=redis-py(x;y) lib-ver=8.1.0" in raw.execute("CLIENT", "INFO")
    assert refused(raw, "CLIENT", "SETINFO", "LIB-NAME", "two words") == (
        "ERR lib-name cannot contain spaces, newlines or special characters."
    )
    assert refused(raw, "CLIENT", "SETINFO", "lib", "x") == "ERR Unrecognized option 'lib'"
    raw.execute("CLIENT", "SETINFO", "LIB-VER", "")
    assert b" lib-ver= " in raw.execute("CLIENT", "LIST")


def test_a_client_line_says_how_many_keys_are_watched(raw: Raw) -> None:
    raw.execute("WATCH", "a", "b")
    assert raw.execute("CLIENT", "INFO").endswith(b" watch=2\n")


def test_waiting_for_the_disk(raw: Raw) -> None:
    assert raw.execute("WAITAOF", 0, 0, 0) == [0, 0]
    assert raw.execute("WAITAOF", 0, 1, 1) == [0, 0]
    assert raw.execute("EVAL", "return redis.call('WAITAOF', 0, 1, 0)", 0) == [0, 0]
    assert refused(raw, "WAITAOF", 1, 0, 0) == (
        "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
    )
    assert refused(raw, "WAITAOF", 2, 0, 0) == (
        "ERR value is out of range, value must between 0 and 1"
    )
    assert refused(raw, "WAITAOF", 0, -1, 0) == "ERR value is out of range, must be positive"
    assert refused(raw, "WAITAOF", 0, 0, -1) == "ERR timeout is negative"
