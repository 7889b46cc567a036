"""DEL, RENAME, COPY, MOVE, SCAN and the rest that does not care about types."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError


def refused(server: Server, *args: str | int | bytes) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


@pytest.mark.parametrize("name", ["DEL", "UNLINK"])
def test_deleting_counts_keys_that_were_there(server: Server, name: str) -> None:
    server.execute("MSET", "a", 1, "b", 2)
    assert server.execute(name, "a", "a", "missing", "b") == 2
    assert server.execute("DBSIZE") == 0


def test_exists_counts_each_mention(server: Server) -> None:
    server.execute("SET", "a", 1)
    assert server.execute("EXISTS", "a", "a", "missing") == 2
    assert server.execute("TOUCH", "a", "a", "missing") == 2


@pytest.mark.parametrize(
    ("create", "word"),
    [
        (("SET", "k", "v"), b"string"),
        (("RPUSH", "k", "v"), b"list"),
        (("SADD", "k", "v"), b"set"),
        (("ZADD", "k", 1, "v"), b"zset"),
        (("HSET", "k", "f", "v"), b"hash"),
    ],
)
def test_type_and_copy_of_each_kind(
    server: Server, create: tuple[str | int, ...], word: bytes
) -> None:
    server.execute(*create)
    server.execute("EXPIRE", "k", 100)
    assert server.execute("TYPE", "k") == word
    assert server.execute("COPY", "k", "copy") == 1
    assert server.execute("TYPE", "copy") == word
    assert server.execute("TTL", "copy") == 100
    assert server.execute("DEBUG", "DIGEST-VALUE", "k") == server.execute(
        "DEBUG", "DIGEST-VALUE", "copy"
    )


def test_a_copy_is_independent(server: Server) -> None:
    server.execute("RPUSH", "list", "a")
    server.execute("COPY", "list", "copy")
    server.execute("RPUSH", "copy", "b")
    assert server.execute("LRANGE", "list", 0, -1) == [b"a"]


def test_copy_options(server: Server) -> None:
    server.execute("MSET", "a", 1, "b", 2)
    assert server.execute("COPY", "a", "b") == 0
    assert server.execute("COPY", "a", "b", "REPLACE") == 1
    assert server.execute("GET", "b") == b"1"
    assert server.execute("COPY", "a", "a", "DB", 1) == 1
    assert server.execute("COPY", "missing", "c") == 0
    assert refused(server, "COPY", "a", "a") == ("ERR source and destination objects are the same")
    assert refused(server, "COPY", "a", "b", "DB", "x") == (
        "ERR value is not an integer or out of range"
    )
    assert refused(server, "COPY", "a", "b", "DB", 99) == "ERR DB index is out of range"
    assert refused(server, "COPY", "a", "b", "DB", 2**40) == (
        "ERR value is out of range, value must between -2147483648 and 2147483647"
    )
    assert refused(server, "COPY", "a", "b", "DB") == "ERR syntax error"


def test_rename_takes_the_deadline_along_and_drops_the_target_s(server: Server) -> None:
    server.execute("SET", "a", 1, "EX", 100)
    server.execute("SET", "b", 2, "EX", 5000)
    assert server.execute("RENAME", "a", "b") == b"OK"
    assert server.execute("TTL", "b") == 100
    server.execute("SET", "c", 3)
    server.execute("RENAME", "c", "b")
    assert server.execute("TTL", "b") == -1
    assert server.execute("RENAME", "b", "b") == b"OK"
    assert refused(server, "RENAME", "missing", "x") == "ERR no such key"


def test_renamenx(server: Server) -> None:
    server.execute("MSET", "a", 1, "b", 2)
    assert server.execute("RENAMENX", "a", "b") == 0
    assert server.execute("RENAMENX", "a", "a") == 0
    assert server.execute("RENAMENX", "a", "c") == 1
    assert refused(server, "RENAMENX", "missing", "x") == "ERR no such key"


def test_move(server: Server) -> None:
    server.execute("SET", "a", 1, "EX", 100)
    assert server.execute("MOVE", "a", 3) == 1
    assert server.execute("EXISTS", "a") == 0
    server.execute("SET", "a", 2)
    assert server.execute("MOVE", "a", 3) == 0
    assert server.execute("MOVE", "missing", 3) == 0
    assert refused(server, "MOVE", "a", 0) == "ERR source and destination objects are the same"
    assert refused(server, "MOVE", "a", 16) == "ERR DB index is out of range"
    server.execute("SELECT", 3)
    assert server.execute("TTL", "a") == 100


def test_swapdb(server: Server) -> None:
    server.execute("SET", "a", 1, "EX", 100)
    assert server.execute("SWAPDB", 0, 2) == b"OK"
    assert server.execute("DBSIZE") == 0
    server.execute("SELECT", 2)
    assert server.execute("TTL", "a") == 100
    assert refused(server, "SWAPDB", "x", 1) == "ERR invalid first DB index"
    assert refused(server, "SWAPDB", 0, "x") == "ERR invalid second DB index"
    assert refused(server, "SWAPDB", 0, 77) == "ERR DB index is out of range"


def test_flushdb_leaves_other_databases(server: Server) -> None:
    server.execute("SET", "a", 1)
    server.execute("SELECT", 1)
    server.execute("SET", "b", 1)
    assert server.execute("FLUSHDB", "ASYNC") == b"OK"
    server.execute("SELECT", 0)
    assert server.execute("DBSIZE") == 1
    assert server.execute("FLUSHALL", "SYNC") == b"OK"
    assert server.execute("DBSIZE") == 0
    assert refused(server, "FLUSHDB", "x") == "ERR syntax error"
    assert refused(server, "FLUSHALL", "ASYNC", "SYNC") == "ERR syntax error"


def test_keys_and_randomkey(server: Server) -> None:
    assert server.execute("RANDOMKEY") is None
    server.execute("MSET", "one", 1, "two", 2, "h[llo", 3, "hello", 4, "hallo", 5)
    assert sorted(server.execute("KEYS", "*o*")) == [b"h[llo", b"hallo", b"hello", b"one", b"two"]
    assert sorted(server.execute("KEYS", "h?llo")) == [b"h[llo", b"hallo", b"hello"]
    assert server.execute("KEYS", "h[^e-z[]llo") == [b"hallo"]
    assert server.execute("KEYS", "h\\[llo") == [b"h[llo"]
    assert server.execute("RANDOMKEY") in {b"one", b"two", b"h[llo", b"hello", b"hallo"}


def test_a_pattern_of_too_many_stars_matches_nothing(server: Server) -> None:
    server.execute("SET", "a" * 3000, 1)
    for stars, found in ((1000, 1), (1001, 0)):
        assert len(server.execute("KEYS", "*a" * stars)) == found
        assert len(server.execute("KEYS", "*a" * stars + "**")) == found


def scan_all(server: Server, *options: str | int) -> list[bytes]:
    cursor, found = b"0", []
    for _ in range(10_000):
        cursor, keys = server.execute("SCAN", cursor, *options)
        found += keys
        if cursor == b"0":
            return found
    raise AssertionError("SCAN did not come to an end")


def test_scan_returns_what_is_there_throughout(server: Server) -> None:
    server.execute("DEBUG", "POPULATE", 1000, "stays")
    server.execute("DEBUG", "POPULATE", 3000, "goes")
    seen: set[bytes] = set()
    cursor, step = b"0", 0
    while True:
        cursor, keys = server.execute("SCAN", cursor, "COUNT", 50)
        seen.update(keys)
        step += 1
        for number in range(step * 40, step * 40 + 40):
            server.execute("DEL", f"goes:{number}")
            server.execute("SET", f"new:{number}", 1)
        if cursor == b"0":
            break
    assert {b"stays:%d" % number for number in range(1000)} <= seen


def test_scan_filters(server: Server) -> None:
    server.execute("MSET", "a1", 1, "a2", 2, "b1", 3)
    server.execute("RPUSH", "a3", 1)
    assert sorted(scan_all(server, "MATCH", "a*", "COUNT", 1)) == [b"a1", b"a2", b"a3"]
    assert scan_all(server, "TYPE", "list") == [b"a3"]
    assert scan_all(server, "TYPE", "nonsense") == []
    assert sorted(scan_all(server, "MATCH", "a*", "TYPE", "STRING")) == [b"a1", b"a2"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("x",), "ERR invalid cursor"),
        (("1" * 30,), "ERR invalid cursor"),
        ((0, "COUNT", 0), "ERR syntax error"),
        ((0, "COUNT", "x"), "ERR value is not an integer or out of range"),
        ((0, "COUNT"), "ERR syntax error"),
        ((0, "NONSENSE", 1), "ERR syntax error"),
    ],
)
def test_scan_refuses(server: Server, args: tuple[str | int, ...], message: str) -> None:
    assert refused(server, "SCAN", *args) == message
