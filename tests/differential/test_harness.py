"""The comparison itself: it is strict, it finds planted faults, and it covers every command."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cacheapp.engine import registry
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import NULL_ARRAY, SetReply, Status
from cacheapp.engine.session import Session
from tests.differential import groups, harness
from tests.differential.fuzz import fuzz
from tests.differential.groups import GROUPS
from tests.differential.harness import Comparison
from tests.differential.replies import agree, same, same_frames
from tests.differential.sides import RedisSide
from tests.redis_server import RedisServer

registry.load_commands()

# What no random sequence may do: end the connection, wait, or run for ever. Contract tests do it.
NOT_DRAWN = {
    "ROLE": "is about replication",
    "QUIT": "closes the connection",
    "WAITAOF": "is Redis 7.2's, and waits",
    **dict.fromkeys(
        ("HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HTTL", "HPTTL", "HEXPIRETIME",
         "HPEXPIRETIME", "HPERSIST"), "is Redis 7.4's"),
    **dict.fromkeys(("BGSAVE", "BGREWRITEAOF", "LASTSAVE"), "is about files"),
    **dict.fromkeys(
        ("REPLICAOF", "SLAVEOF", "FAILOVER", "PSYNC", "REPLCONF"), "is about replication"),
    "MIGRATE": "needs a third server",
    "SHUTDOWN": "ends the server",
    "INFO": "is all about the process",
    "MONITOR": "turns the connection into a log",
    "PFSELFTEST": "takes half a second on the real server",
}  # fmt: skip


def never(*_args: bytes) -> Any:
    raise AssertionError("nothing to ask Redis for")


def encoded_as(word: bytes) -> Callable[..., Any]:
    return lambda *_args: word


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"OK", Status(b"OK")),
        (None, NULL_ARRAY),
        (1, True),
        (1, b"1"),
        (1.0, 1),
        ([b"a"], SetReply([b"a"])),
        ([b"a", b"b"], [b"b", b"a"]),
        ({b"a": 1, b"b": 2}, {b"b": 2, b"a": 1}),
        (CommandError("ERR a"), CommandError("ERR b")),
        (CommandError("ERR a"), b"ERR a"),
        ([1, [2, 3]], [1, [2, 4]]),
        (b"", None),
        ([], {}),
    ],
)
def test_replies_that_are_not_the_same(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert same(one, one)
    assert not agree(never, [b"GET", b"key"], one, other)


def test_another_order_will_do_for_hash_tables_only() -> None:
    replies = [b"a", b"b"], [b"b", b"a"]
    assert agree(encoded_as(b"hashtable"), [b"SMEMBERS", b"key"], *replies)
    assert not agree(encoded_as(b"intset"), [b"SMEMBERS", b"key"], *replies)
    assert not agree(encoded_as(b"hashtable"), [b"SMEMBERS", b"key"], [b"a", b"a"], [b"a", b"b"])
    flat = [b"a", b"1", b"b", b"2"], [b"b", b"2", b"a", b"1"]
    assert agree(encoded_as(b"hashtable"), [b"HGETALL", b"key"], *flat)
    swapped = [b"a", b"1", b"b", b"2"], [b"a", b"2", b"b", b"1"]
    assert not agree(encoded_as(b"hashtable"), [b"HGETALL", b"key"], *swapped)


def test_deadlines_may_differ_a_little_but_not_in_kind() -> None:
    assert agree(never, [b"PTTL", b"key"], 100_000, 99_990)
    assert not agree(never, [b"PTTL", b"key"], 100_000, 90_000)
    assert not agree(never, [b"PTTL", b"key"], -1, 10)
    assert not agree(never, [b"PTTL", b"key"], -1, -2)


def test_random_members_are_counted_and_looked_up() -> None:
    members = [b"a", b"b", b"c"]
    ask = encoded_as(members)  # type: ignore[arg-type]
    assert agree(ask, [b"SRANDMEMBER", b"key", b"2"], [b"a", b"b"], [b"c", b"a"])
    assert not agree(ask, [b"SRANDMEMBER", b"key", b"2"], [b"a", b"b"], [b"c", b"c"])
    assert agree(ask, [b"SRANDMEMBER", b"key", b"-2"], [b"a", b"b"], [b"c", b"c"])
    assert not agree(ask, [b"SRANDMEMBER", b"key", b"2"], [b"a", b"b"], [b"c"])
    assert not agree(ask, [b"SRANDMEMBER", b"key", b"2"], [b"a", b"b"], [b"a", b"x"])


def test_frames_keep_their_order_where_redis_has_one() -> None:
    message, pattern = [b"message", b"news", b"1"], [b"pmessage", b"n*", b"news", b"1"]
    other = [b"pmessage", b"*", b"news", b"1"]
    assert same_frames([[message, pattern, other]], [[message, other, pattern]])
    assert not same_frames([[message, pattern]], [[pattern, message]])
    assert not same_frames([[message]], [[]])


def test_every_command_is_in_a_grammar() -> None:
    source = "".join(
        inspect.getsource(module) for module in vars(groups).values() if inspect.ismodule(module)
    )
    absent = [
        row.name
        for row in registry.rows()
        if row.name not in NOT_DRAWN and not re.search(rf'"{row.name}[" ]', source)
    ]
    assert absent == []


@pytest.fixture(scope="module")
def comparison() -> Iterator[Comparison]:
    with RedisServer() as server:
        redis = RedisSide(server.port)
        yield Comparison(redis)
        redis.close()


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, Callable[..., Any]], None]:
    """Put another handler in the place of a command's own."""

    def replace(name: bytes, handler: Callable[..., Any]) -> None:
        monkeypatch.setattr(registry.COMMANDS[name], "handler", handler)

    return replace


def steps_in(transcript: str) -> list[str]:
    return re.findall(r"^  \d> (\S+)", transcript, re.MULTILINE)


@pytest.mark.requires_redis
def test_a_wrong_reply_is_found_and_its_sequence_is_short(
    comparison: Comparison, plant: Callable[[bytes, Callable[..., Any]], None]
) -> None:
    right = registry.COMMANDS[b"STRLEN"].handler
    plant(b"STRLEN", lambda ctx, key: right(ctx, key) % 7)
    outcome = fuzz(GROUPS["strings"], comparison, 20_000, first_seed=1)
    assert outcome.failure is not None
    assert steps_in(outcome.failure)[-1] == "STRLEN"
    assert len(steps_in(outcome.failure)) <= 2


@pytest.mark.requires_redis
@pytest.mark.parametrize(("held_up_s", "runs"), [(0.0, harness.RUNS_MAX), (60.0, 1)])
def test_what_was_held_up_is_run_again_a_few_times(
    comparison: Comparison,
    plant: Callable[[bytes, Callable[..., Any]], None],
    monkeypatch: pytest.MonkeyPatch,
    held_up_s: float,
    runs: int,
) -> None:
    plant(b"STRLEN", lambda _ctx, _key: 7)
    before = comparison.compared["STRLEN"]
    monkeypatch.setattr(harness, "HELD_UP_S", held_up_s)
    with pytest.raises(harness.Parted):
        comparison.run(harness.Sequence([harness.Step((b"STRLEN", b"none"))]))
    assert comparison.compared["STRLEN"] - before == runs


@pytest.mark.requires_redis
def test_a_wrong_state_is_found(
    comparison: Comparison, plant: Callable[[bytes, Callable[..., Any]], None]
) -> None:
    right = registry.COMMANDS[b"LTRIM"].handler

    def leave_one_more(ctx: Session, key: bytes, start: bytes, stop: bytes) -> Any:
        return right(ctx, key, start, b"5" if stop == b"4" else stop)

    plant(b"LTRIM", leave_one_more)
    outcome = fuzz(GROUPS["lists"], comparison, 20_000, first_seed=1)
    assert outcome.failure is not None
    assert "LTRIM" in steps_in(outcome.failure)


@pytest.mark.requires_redis
def test_a_missing_event_is_found(
    comparison: Comparison,
    plant: Callable[[bytes, Callable[..., Any]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = registry.COMMANDS[b"SETBIT"].handler

    def silent(ctx: Session, *arguments: bytes) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(ctx.engine, "event_flags", frozenset())
            return right(ctx, *arguments)

    plant(b"SETBIT", silent)
    outcome = fuzz(GROUPS["bitmaps"], comparison, 20_000, first_seed=1)
    assert outcome.failure is not None
    assert "keyspace events" in outcome.failure
