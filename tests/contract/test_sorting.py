"""SORT and SORT_RO, on both servers."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError


@pytest.fixture
def rows(server: Server) -> Server:
    """Three rows under a list, with weights and names; row 3 has neither."""
    server.execute("RPUSH", "ids", 2, 3, 1)
    server.execute("MSET", "weight:1", 30, "weight:2", 20, "name:1", "one", "name:2", "two")
    server.execute("HSET", "row:1", "age", 5, "title", "b")
    server.execute("HSET", "row:2", "age", 7, "title", "a")
    return server


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "1 2 3"),
        ("DESC", "3 2 1"),
        ("desc asc", "1 2 3"),
        ("LIMIT 1 1", "2"),
        ("LIMIT 1 -1", "2 3"),
        ("LIMIT -5 2", "1 2"),
        ("LIMIT 9 2", ""),
        ("LIMIT 0 0", ""),
        ("BY weight:*", "3 2 1"),
        ("BY weight:* DESC", "1 2 3"),
        ("BY row:*->age", "3 1 2"),
        ("BY row:*->title ALPHA", "3 2 1"),
        ("BY row:*->missing", "1 2 3"),
        ("BY nosort", "2 3 1"),
        ("BY nosort LIMIT 1 2", "3 1"),
        ("GET #", "1 2 3"),
        ("GET name:*", "one two -"),
        ("GET # GET row:*->title", "1 b 2 a 3 -"),
        ("GET row:*", "- - -"),
        ("GET constant", "- - -"),
    ],
)
def test_a_list(rows: Server, options: str, expected: str) -> None:
    for name in ("SORT", "SORT_RO"):
        reply = rows.execute(name, "ids", *options.split())
        assert " ".join("-" if item is None else item.decode() for item in reply) == expected


def test_text(server: Server) -> None:
    server.execute("RPUSH", "list", "b", "10", "a", "9", "B")
    assert server.execute("SORT", "list", "ALPHA") == [b"10", b"9", b"B", b"a", b"b"]
    assert server.execute("SORT", "list", "ALPHA", "DESC") == [b"b", b"a", b"B", b"9", b"10"]


def test_numbers_are_floats(server: Server) -> None:
    server.execute("RPUSH", "list", "1.5", "-inf", "0x10", "1e1", " 2", "inf")
    assert server.execute("SORT", "list") == [b"-inf", b"1.5", b" 2", b"1e1", b"0x10", b"inf"]


def test_equal_weights_are_ordered_by_element(server: Server) -> None:
    server.execute("SADD", "set", "c", "a", "b")
    assert server.execute("SORT", "set", "BY", "missing:*") == [b"a", b"b", b"c"]
    assert server.execute("SORT", "set", "BY", "missing:*", "DESC") == [b"c", b"b", b"a"]


def test_a_sorted_set_has_an_order_of_its_own(server: Server) -> None:
    server.execute("ZADD", "z", 3, 1, 2, 2, 1, 3)
    assert server.execute("SORT", "z") == [b"1", b"2", b"3"]
    assert server.execute("SORT", "z", "BY", "nosort") == [b"3", b"2", b"1"]
    assert server.execute("SORT", "z", "BY", "nosort", "DESC", "LIMIT", 0, 2) == [b"1", b"2"]
    assert server.execute("OBJECT", "ENCODING", "z") == b"skiplist"


def test_store(rows: Server) -> None:
    rows.execute("SET", "to", "text", "EX", 100)
    assert rows.execute("SORT", "ids", "GET", "name:*", "STORE", "to") == 3
    assert rows.execute("LRANGE", "to", 0, -1) == [b"one", b"two", b""]
    assert rows.execute("TTL", "to") == -1
    assert rows.execute("SORT", "ids", "STORE", "ids") == 3
    assert rows.execute("LRANGE", "ids", 0, -1) == [b"1", b"2", b"3"]
    assert rows.execute("SORT", "missing", "STORE", "to") == 0
    assert rows.execute("EXISTS", "to") == 0


def test_an_unsorted_set_is_stored_in_order(server: Server) -> None:
    server.execute("SADD", "set", "c", "a", "b")
    assert server.execute("SORT", "set", "BY", "nosort", "STORE", "to") == 3
    assert server.execute("LRANGE", "to", 0, -1) == [b"a", b"b", b"c"]


def test_a_missing_key(server: Server) -> None:
    assert server.execute("SORT", "missing") == []
    assert server.execute("SORT_RO", "missing", "BY", "x:*", "GET", "#") == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("SORT", "words"), "ERR One or more scores can't be converted into double"),
        (
            ("SORT", "ids", "BY", "name:*"),
            "ERR One or more scores can't be converted into double",
        ),
        (("SORT", "text", "LIMIT", "x", 1), "ERR value is not an integer or out of range"),
        (("SORT", "text", "LIMIT", 1), "ERR syntax error"),
        (("SORT", "text", "BY"), "ERR syntax error"),
        (("SORT", "text", "NONSENSE"), "ERR syntax error"),
        (("SORT_RO", "ids", "STORE", "to"), "ERR syntax error"),
        (
            ("SORT", "text"),
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ],
)
def test_refused(rows: Server, args: tuple[Argument, ...], message: str) -> None:
    rows.execute("SET", "text", "x")
    rows.execute("RPUSH", "words", "a", "1")
    with pytest.raises(ReplyError) as caught:
        rows.execute(*args)
    assert str(caught.value) == message


def test_a_list_s_own_order_backwards(server: Server) -> None:
    server.execute("RPUSH", "l", 3, 1, 2, 5, 4)
    backwards = [b"4", b"5", b"2", b"1", b"3"]
    for line, expected in (
        ("SORT l BY nosort", backwards[::-1]),
        ("SORT l BY nosort DESC", backwards),
        ("SORT_RO l BY nosort DESC LIMIT 1 2", backwards[1:3]),
        ("SORT l BY nosort DESC LIMIT 4 9", backwards[4:]),
        ("SORT l BY nosort DESC STORE to", 5),
        ("LRANGE to 0 -1", backwards),
    ):
        assert server.execute(*line.split()) == expected, line


def test_keys_of_the_command(server: Server) -> None:
    keys = server.execute("COMMAND", "GETKEYS", "SORT", "k", "GET", "STORE", "STORE", "to")
    assert keys == [b"k", b"to"]
