"""EXPIRE and its relatives. Deadlines are short here; the engine's own tests travel in time."""

from __future__ import annotations

import time

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError

FUTURE = 4_102_444_800  # 2100-01-01


def refused(server: Server, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def test_ttl_of_a_missing_and_of_a_lasting_key(server: Server) -> None:
    server.execute("SET", "key", "value")
    for name in ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"):
        assert server.execute(name, "missing") == -2
        assert server.execute(name, "key") == -1


def test_absolute_deadlines(server: Server) -> None:
    server.execute("SET", "key", "value")
    assert server.execute("EXPIREAT", "key", FUTURE) == 1
    assert server.execute("EXPIRETIME", "key") == FUTURE
    assert server.execute("PEXPIREAT", "key", FUTURE * 1000 + 500) == 1
    assert server.execute("PEXPIRETIME", "key") == FUTURE * 1000 + 500
    assert server.execute("EXPIRETIME", "key") == FUTURE + 1


def test_relative_deadlines(server: Server) -> None:
    server.execute("SET", "key", "value")
    assert server.execute("EXPIRE", "key", 100) == 1
    assert server.execute("TTL", "key") == 100
    assert 99_000 < server.execute("PTTL", "key") <= 100_000
    assert server.execute("PEXPIRE", "key", 1700) == 1
    assert server.execute("TTL", "key") == 2
    assert server.execute("EXPIRE", "missing", 100) == 0


@pytest.mark.parametrize("amount", [0, -1, -(2**53)])
def test_a_deadline_in_the_past_deletes(server: Server, amount: int) -> None:
    server.execute("SET", "key", "value")
    assert server.execute("EXPIRE", "key", amount) == 1
    assert server.execute("EXISTS", "key") == 0


def test_persist(server: Server) -> None:
    server.execute("SET", "key", "value", "EX", 100)
    assert server.execute("PERSIST", "key") == 1
    assert server.execute("PERSIST", "key") == 0
    assert server.execute("PERSIST", "missing") == 0
    assert server.execute("TTL", "key") == -1


@pytest.mark.parametrize(
    ("current", "options", "amount", "expected"),
    [
        (None, ["NX"], 10, 1),
        (None, ["XX"], 10, 0),
        (None, ["GT"], 10, 0),
        (None, ["LT"], 10, 1),
        (100, ["NX"], 10, 0),
        (100, ["XX"], 10, 1),
        (100, ["GT"], 10, 0),
        (100, ["gt"], 1000, 1),
        (100, ["LT"], 1000, 0),
        (100, ["LT"], 10, 1),
        (100, ["XX", "LT"], 10, 1),
        (100, ["XX", "GT"], 10, 0),
    ],
)
def test_conditions(
    server: Server, current: int | None, options: list[str], amount: int, expected: int
) -> None:
    server.execute("SET", "key", "value")
    if current:
        server.execute("EXPIRE", "key", current)
    assert server.execute("EXPIRE", "key", amount, *options) == expected
    assert server.execute("TTL", "key") == (amount if expected else current or -1)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("EXPIRE", "key", "x"), "ERR value is not an integer or out of range"),
        (("EXPIRE", "key", 2**63 - 1), "ERR invalid expire time in 'expire' command"),
        (("EXPIRE", "key", -(2**63)), "ERR invalid expire time in 'expire' command"),
        (("PEXPIRE", "key", 2**63 - 1), "ERR invalid expire time in 'pexpire' command"),
        (("EXPIREAT", "key", 2**60), "ERR invalid expire time in 'expireat' command"),
        (("EXPIRE", "key", 1, "NONSENSE"), "ERR Unsupported option NONSENSE"),
        (("EXPIRE", "key", 1, "two\nlines\r\n"), "ERR Unsupported option two lines"),
        (
            ("EXPIRE", "key", 1, "NX", "GT"),
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        ),
        (
            ("EXPIRE", "key", 1, "GT", "LT"),
            "ERR GT and LT options at the same time are not compatible",
        ),
    ],
)
def test_refused(server: Server, args: tuple[str | int, ...], message: str) -> None:
    server.execute("SET", "key", "value")
    assert refused(server, *args) == message
    assert server.execute("TTL", "key") == -1


def test_a_due_key_is_gone_for_every_command(server: Server) -> None:
    server.execute("SET", "key", "value", "PX", 1)
    until = time.monotonic() + 5
    while server.execute("PTTL", "key") != -2:
        assert time.monotonic() < until
    assert server.execute("GET", "key") is None
    assert server.execute("EXISTS", "key") == 0
    assert server.execute("TYPE", "key") == b"none"
    assert server.execute("KEYS", "*") == []
    assert server.execute("APPEND", "key", "new") == 3
    assert server.execute("TTL", "key") == -1


def test_plain_set_clears_the_deadline_and_keepttl_keeps_it(server: Server) -> None:
    server.execute("SET", "key", "value", "EX", 100)
    server.execute("SET", "key", "other", "KEEPTTL")
    assert server.execute("TTL", "key") == 100
    server.execute("SET", "key", "third")
    assert server.execute("TTL", "key") == -1
