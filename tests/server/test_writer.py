"""Replies as bytes: each shape in both protocols, and whole replies read back by hiredis."""

from __future__ import annotations

import math
from typing import Any

import hiredis
import pytest

from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import (
    BLOCKED,
    NO_REPLY,
    NULL_ARRAY,
    OK,
    Pairs,
    Push,
    SetReply,
    Status,
    Verbatim,
)
from cacheapp.server.writer import encode


def written(reply: Any, protocol: int) -> bytes:
    """The bytes of `reply`."""
    pieces: list[bytes] = []
    encode(pieces.append, reply, protocol)
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("reply", "resp2", "resp3"),
    [
        (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
        (b"x" * 5000, b"$5000\r\n" + b"x" * 5000 + b"\r\n", b"$5000\r\n" + b"x" * 5000 + b"\r\n"),
        (OK, b"+OK\r\n", b"+OK\r\n"),
        (Status(b"odd\r\none"), b"+odd  one\r\n", b"+odd  one\r\n"),
        (7, b":7\r\n", b":7\r\n"),
        (-1, b":-1\r\n", b":-1\r\n"),
        (2**63 - 1, b":9223372036854775807\r\n", b":9223372036854775807\r\n"),
        (None, b"$-1\r\n", b"_\r\n"),
        (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (-math.inf, b"$4\r\n-inf\r\n", b",-inf\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (Verbatim(b"text"), b"$4\r\ntext\r\n", b"=8\r\ntxt:text\r\n"),
        ([], b"*0\r\n", b"*0\r\n"),
        ([b"a", 1, [None]], b"*3\r\n$1\r\na\r\n:1\r\n*1\r\n$-1\r\n",
         b"*3\r\n$1\r\na\r\n:1\r\n*1\r\n_\r\n"),
        ({b"k": 1.0}, b"*2\r\n$1\r\nk\r\n$1\r\n1\r\n", b"%1\r\n$1\r\nk\r\n,1\r\n"),
        (SetReply([b"a"]), b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
        (Push([b"m", 1]), b"*2\r\n$1\r\nm\r\n:1\r\n", b">2\r\n$1\r\nm\r\n:1\r\n"),
        (Pairs([[b"a", 2.0]]), b"*2\r\n$1\r\na\r\n$1\r\n2\r\n", b"*1\r\n*2\r\n$1\r\na\r\n,2\r\n"),
        (CommandError("ERR two\r\nlines \udcff"), b"-ERR two  lines \xff\r\n",
         b"-ERR two  lines \xff\r\n"),
        ([CommandError("WRONGTYPE x")], b"*1\r\n-WRONGTYPE x\r\n", b"*1\r\n-WRONGTYPE x\r\n"),
    ],
)  # fmt: skip
def test_shapes(reply: Any, resp2: bytes, resp3: bytes) -> None:
    assert written(reply, 2) == resp2
    assert written(reply, 3) == resp3


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("reply", [NO_REPLY, BLOCKED, "text", {1, 2}, [object()]])
def test_what_is_no_reply_has_no_bytes(reply: Any, protocol: int) -> None:
    with pytest.raises((TypeError, KeyError)):
        written(reply, protocol)


def test_a_reply_of_many_levels_is_read_back() -> None:
    reply = [{b"a": [1, 2.5, None], b"b": {b"c": SetReply([b"x" * 5000])}}, [[True], b""]]
    reader = hiredis.Reader()
    reader.feed(written(reply, 3))
    plain = [{b"a": [1, 2.5, None], b"b": {b"c": [b"x" * 5000]}}, [[True], b""]]
    found = reader.gets()
    assert repr(found) == repr(plain)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    "last", [b"", b"x", b"x" * 4095, b"x" * 4096, None, 7, Status(b"OK"), [b"a"]]
)
def test_long_lists_are_written_as_short_ones(last: Any, protocol: int) -> None:
    items = [b"%d" % number for number in range(50)]
    alone = b"".join(written(item, protocol) for item in [*items, last])
    assert written([*items, last], protocol) == b"*51\r\n" + alone
