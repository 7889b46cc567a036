"""HyperLogLog on both servers: the same bytes, the same estimates, refusals to the letter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError

INVALID = "WRONGTYPE Key is not a valid HyperLogLog string value."
CORRUPTED = "INVALIDOBJ Corrupted HLL object detected"
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
HEADER = b"HYLL\x01" + bytes(10)
OUT_OF_DATE = b"\x80"


def refused(server: Server, *args: Argument) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


@pytest.fixture
def small_sparse(server: Server) -> Iterator[Server]:
    """The server with a limit of 40 bytes for the sparse encoding."""
    server.execute("CONFIG", "SET", "hll-sparse-max-bytes", 40)
    yield server
    server.execute("CONFIG", "SET", "hll-sparse-max-bytes", 3000)


def test_add_and_count(server: Server) -> None:
    assert server.execute("PFADD", "h", "a", "b", "c") == 1
    assert server.execute("PFADD", "h", "a") == 0
    assert server.execute("PFCOUNT", "h") == 3
    assert server.execute("PFCOUNT", "missing") == 0
    assert server.execute("TYPE", "h") == b"string"
    assert server.execute("OBJECT", "ENCODING", "h") == b"raw"


def test_a_new_key_is_a_change_without_elements(server: Server) -> None:
    assert server.execute("PFADD", "h") == 1
    assert server.execute("PFADD", "h") == 0
    assert server.execute("GET", "h") == HEADER + OUT_OF_DATE + b"\x7f\xff"


def test_the_bytes_and_the_cached_cardinality(server: Server) -> None:
    server.execute("PFADD", "h", "a", "b", "c")
    body = b"`\xf3\x80P\xb1\x84K\xfb\x80BZ"
    assert server.execute("GET", "h") == HEADER + OUT_OF_DATE + body
    assert server.execute("PFCOUNT", "h") == 3
    assert server.execute("GET", "h") == b"HYLL\x01\0\0\0\x03" + bytes(7) + body


def test_estimates(server: Server) -> None:
    for first in range(0, 20000, 1000):
        server.execute("PFADD", "h", *(f"element:{first + at}" for at in range(1000)))
    assert server.execute("PFCOUNT", "h") == 19986
    assert server.execute("STRLEN", "h") == 12304


def test_runs(server: Server) -> None:
    server.execute("PFADD", "h", "a", "b", "c")
    assert server.execute("PFDEBUG", "DECODE", "h") == (
        b"Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603"
    )
    assert server.execute("PFDEBUG", "encoding", "h") == b"sparse"
    registers = server.execute("PFDEBUG", "GETREG", "h")
    assert len(registers) == 16384
    assert (registers[8436], registers[12711], sum(registers)) == (1, 2, 4)
    assert server.execute("PFDEBUG", "ENCODING", "h") == b"dense"
    assert server.execute("PFDEBUG", "TODENSE", "h") == 0
    assert refused(server, "PFDEBUG", "DECODE", "h") == "ERR HLL encoding is not sparse"
    assert refused(server, "PFDEBUG", "NOPE", "h") == "ERR Unknown PFDEBUG subcommand 'NOPE'"
    assert refused(server, "PFDEBUG", "ENCODING", "no") == "ERR The specified key does not exist"


def test_the_limit_of_the_sparse_encoding(small_sparse: Server) -> None:
    server = small_sparse
    server.execute("PFADD", "h", "a", "b", "c")
    assert server.execute("PFDEBUG", "ENCODING", "h") == b"sparse"
    assert server.execute("PFADD", "h", *range(20)) == 1
    assert server.execute("PFDEBUG", "ENCODING", "h") == b"dense"
    assert server.execute("PFCOUNT", "h") == 23


def test_merge(server: Server) -> None:
    server.execute("PFADD", "one", "a", "b", "c")
    server.execute("PFADD", "two", "c", "d", "e")
    assert server.execute("PFCOUNT", "one", "two", "missing") == 5
    assert server.execute("PFMERGE", "all", "one", "two", "missing") == b"OK"
    assert server.execute("PFCOUNT", "all") == 5
    assert server.execute("PFDEBUG", "ENCODING", "all") == b"sparse"
    server.execute("PFDEBUG", "TODENSE", "two")
    assert server.execute("PFMERGE", "one", "two") == b"OK"
    assert server.execute("PFDEBUG", "ENCODING", "one") == b"dense"
    assert server.execute("PFCOUNT", "one") == 5
    assert server.execute("PFMERGE", "new") == b"OK"
    assert server.execute("PFCOUNT", "new") == 0


def test_deadlines_stay(server: Server) -> None:
    server.execute("PFADD", "h", "a")
    data = server.execute("GET", "h")
    server.execute("SET", "h", data, "EX", 100)
    server.execute("PFADD", "h", "b")
    server.execute("PFCOUNT", "h")
    server.execute("PFMERGE", "h", "missing")
    assert server.execute("TTL", "h") == 100
    assert server.execute("PFCOUNT", "h") == 2


@pytest.mark.parametrize(
    "value",
    [
        b"text",
        b"12",
        b"HYLL",
        b"HYLX\x01" + bytes(11) + b"\x7f\xff",
        b"HYLL\x02" + bytes(11),
        b"HYLL\x00" + bytes(11) + b"short",
    ],
)
def test_other_strings_are_refused(server: Server, value: bytes) -> None:
    server.execute("SET", "s", value)
    assert refused(server, "PFADD", "s", "a") == INVALID
    assert refused(server, "PFCOUNT", "s") == INVALID
    assert refused(server, "PFCOUNT", "s", "missing") == INVALID
    assert refused(server, "PFMERGE", "to", "s") == INVALID
    assert refused(server, "PFDEBUG", "GETREG", "s") == INVALID
    assert server.execute("EXISTS", "to") == 0


@pytest.mark.parametrize("body", [b"", b"\x7f\xfe", b"\x7f\xff\x80", b"\x7f\xfd\x81\x83"])
def test_broken_runs_are_refused(server: Server, body: bytes) -> None:
    server.execute("SET", "s", HEADER + OUT_OF_DATE + body)
    assert refused(server, "PFCOUNT", "s") == CORRUPTED
    assert refused(server, "PFCOUNT", "s", "s") == CORRUPTED
    assert refused(server, "PFMERGE", "to", "s") == CORRUPTED
    assert refused(server, "PFDEBUG", "TODENSE", "s") == CORRUPTED
    assert server.execute("EXISTS", "to") == 0


def test_a_run_that_is_not_there_cannot_be_changed(server: Server) -> None:
    server.execute("SET", "s", HEADER + OUT_OF_DATE)
    assert refused(server, "PFADD", "s", "a") == CORRUPTED


def test_the_first_wrong_key_decides(server: Server) -> None:
    server.execute("SET", "s", "text")
    server.execute("RPUSH", "list", "a")
    assert refused(server, "PFCOUNT", "s", "list") == INVALID
    assert refused(server, "PFCOUNT", "list", "s") == WRONG_TYPE
    assert refused(server, "PFADD", "list", "a") == WRONG_TYPE
    assert refused(server, "PFMERGE", "list", "s") == WRONG_TYPE


def test_selftest(server: Server) -> None:
    assert server.execute("PFSELFTEST") == b"OK"
