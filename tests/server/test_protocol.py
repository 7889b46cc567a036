"""The request parser by itself: shapes, pieces, limits, mutations."""

from __future__ import annotations

import random

import pytest

from cacheapp.server.protocol import (
    ProtocolError,
    RequestParser,
    split_commands,
    split_inline,
)
from tests.server import mutate
from tests.server.mutate import packed

PING = b"*1\r\n$4\r\nPING\r\n"


def take_all(data: bytes, size: int = 0, *, authenticated: bool = True) -> list[list[bytes]]:
    """The commands in `data`, fed in pieces of `size` (0: at once)."""
    parser = RequestParser()
    commands: list[list[bytes]] = []
    for at in range(0, len(data), size or len(data)):
        parser.feed(data[at : at + (size or len(data))])
        while batch := parser.take(authenticated):
            commands += batch
    return commands


def test_a_pipeline_is_split_in_one_go() -> None:
    commands = [[b"SET", b"k", b"v" * 100], [b"GET", b"k"], [b"PING"]]
    assert split_commands(b"".join(map(packed, commands))) == (commands, b"")


@pytest.mark.parametrize(
    "odd",
    [
        packed([b"SET", b"k", b"a\r\nb"]),
        packed([b"SET", b"k", b"x" * 20_000]),
        packed([b"DEL", *[b"k"] * 9]),
        b"PING\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*1\r\n+PING\r\n",
        b"*2\r\n$4\r\nPING\r\n",
        b"*1\r\n$4\r\nPING",
        b"*1\r\n$4\r\nPING\r",
        b"\r\n",
    ],
)
def test_what_is_unusual_is_left_to_the_incremental_parser(odd: bytes) -> None:
    assert split_commands(odd) == ([], odd)
    assert split_commands(PING + odd) == ([[b"PING"]], odd)


@pytest.mark.parametrize("size", [0, 1, 7, 4096, 50_000])
def test_a_long_request_in_pieces(size: int) -> None:
    long = [b"MSET", *(b"%d" % number * 50 for number in range(2001))]
    large = [b"SET", b"k", bytes(range(256)) * 800]
    data = PING + packed(long) + b"PING\r\n" + packed(large) + PING
    assert take_all(data, size) == [[b"PING"], long, [b"PING"], large, [b"PING"]]


def test_the_buffer_holds_what_was_received_and_not_what_was_announced() -> None:
    parser = RequestParser()
    parser.feed(b"*1000000000\r\n$500000000\r\nabc")
    assert parser.take(True) == []
    assert parser.pending_bytes == 28


def test_read_arguments_of_an_unfinished_request_count_as_pending() -> None:
    parser = RequestParser()
    data = packed([b"MSET", *[b"x" * 1000] * 500])[:-10]
    for at in range(0, len(data), 30_000):
        parser.feed(data[at : at + 30_000])
        assert parser.take(True) == []
    assert parser.pending_bytes == len(data)
    parser.feed(b"x" * 8 + b"\r\n")
    assert [len(args) for args in parser.take(True)] == [501]
    assert parser.pending_bytes == 0


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"*11\r\n", "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ],
)
def test_strangers_get_small_limits(data: bytes, text: str) -> None:
    assert take_all(data, authenticated=True) == []
    with pytest.raises(ProtocolError, match=f"^Protocol error: {text}$"):
        take_all(data, authenticated=False)
    ten = [b"ECHO", *[b"x" * 16_384] * 9]
    assert take_all(packed(ten), authenticated=False) == [ten]


def test_the_limit_of_a_bulk_is_the_server_s() -> None:
    parser = RequestParser(bulk_bytes_max=1000)
    parser.feed(b"*1\r\n$1000\r\n")
    assert parser.take(True) == []
    parser = RequestParser(bulk_bytes_max=1000)
    parser.feed(b"*1\r\n$1001\r\n")
    with pytest.raises(ProtocolError, match="invalid bulk length"):
        parser.take(True)


def test_what_stands_before_an_error_is_taken_first() -> None:
    parser = RequestParser()
    parser.feed(PING + b"ECHO a\r\n*1\r\n!")
    assert parser.take(True) == [[b"PING"]]
    assert parser.take(True) == [[b"ECHO", b"a"]]
    assert parser.take(True) == []
    parser.feed(b"\r\n")
    with pytest.raises(ProtocolError, match=r"expected '\$', got '!'"):
        parser.take(True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b" \t ", []),
        (b"SET  k\tv ", [b"SET", b"k", b"v"]),
        (rb'a "b c" "\x41\n\"\q"', [b"a", b"b c", b'A\n"q']),
        (rb"'it\'s' '\n'", [b"it's", rb"\n"]),
        (b'foo"bar baz" x', [b"foobar baz", b"x"]),
        (b"a\x0bb", [b"a\x0bb"]),
        (b"\x0ba", [b"a"]),
        (b'""', [b""]),
        (b'"a"b', None),
        (b'"a', None),
        (b"'a", None),
        (b'"a\\', None),
    ],
)
def test_inline_words(line: bytes, words: list[bytes] | None) -> None:
    assert split_inline(line) == words


def test_mutated_requests_are_read_as_the_model_reads_them() -> None:
    rng = random.Random(20)
    for _ in range(20_000):
        assert mutate.complaint(mutate.make(rng), rng) == ""


def test_the_model_notices_a_parser_that_errs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutate, "found", lambda *_arguments: ([[b"PING"]], None))
    assert "in pieces of" in mutate.complaint(b"PONG\r\n", random.Random(1))


def test_who_has_logged_in_may_send_many_arguments_the_quick_way() -> None:
    command = [b"MSET", *(b"%d" % number for number in range(20))]
    data = packed(command)
    assert split_commands(data + data, authenticated=True) == ([command, command], b"")
    assert split_commands(data) == ([], data)
    cut = data[:-5]
    assert split_commands(data + cut, authenticated=True) == ([command], cut)
