"""Commands that are run by their names answer the same before and after they have a function."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from cacheapp.clients.client import EngineRedis
from cacheapp.clients.forms import _USES_MIN
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine

CALLS: tuple[tuple[Any, ...], ...] = (
    ("SETEX", "key", 100, "value"), ("SETEX", "key", 0, "value"), ("SETEX", "key", 100),
    ("SETEX", "key", "x", b"value"), ("GET", "key"), ("GET",), ("SET", "key", "", "GET"),
    ("SET", "key", "x", "GET"), ("SET", "key", "y"), ("SET", "key", "z", "NX"), ("TTL", b"key"),
    ("SETEX", "key", 100, None), ("SETEX", "key", bytearray(b"7"), memoryview(b"x")),
    ("HSET", "hash", "a", 1, "b", 2.5), ("HSET", "hash", "a"), ("HGETALL", "hash"), ("LLEN", "key"),
    ("ZADD", "zset", 1, "a", 2, "b"), ("ZRANGE", "zset", 0, -1, "WITHSCORES"), ("SMEMBERS", "none"),
    ("XADD", "stream", "1-1", "f", "v"), ("XRANGE", "stream", "-", "+"), ("XLEN", "stream"),
    ("get", "key"), ("PING",), ("CONFIG GET", "hz"), ("OBJECT ENCODING", "key"), ("NOSUCH", "key"),
)  # fmt: skip


@pytest.fixture(params=({}, {"decode_responses": True}, {"protocol": 2}), ids=str)
def client(request: pytest.FixtureRequest) -> EngineRedis:
    return EngineRedis(engine=Engine(clock=ManualClock()), **request.param)


def outcome(client: EngineRedis, args: tuple[Any, ...]) -> Any:
    try:
        reply = client.execute_command(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
        return type(error), str(error)
    return type(reply), reply


def test_they_answer_the_same(client: EngineRedis) -> None:
    first: list[Any] = []
    for turn in range(_USES_MIN + 3):
        client.flushall()
        replies = [outcome(client, args) for args in CALLS]
        if turn == 0:
            first = replies
            assert not client._direct.forms
        assert replies == first
    forms = set(client._direct.forms)
    assert {"SETEX", "SET", "GET", "HSET", "ZRANGE", "XADD"} <= forms
    assert not forms & {"get", "PING", "CONFIG GET", "OBJECT ENCODING", "NOSUCH"}


def test_a_new_callback_is_used(client: EngineRedis) -> None:
    for _ in range(_USES_MIN + 1):
        assert client.execute_command("SETEX", "key", 100, "value") is True
    client.set_response_callback("SETEX", lambda _reply: "mine")
    assert client.execute_command("SETEX", "key", 100, "value") == "mine"


def test_options_and_what_waits_go_the_long_way(client: EngineRedis) -> None:
    for _ in range(_USES_MIN + 1):
        client.execute_command("GET", "key", keys=["key"])
        client.execute_command("XREAD", "STREAMS", "none", "0")
    assert "XREAD" not in client._direct.forms
    with pytest.raises(redis.ResponseError):
        client.execute_command("GET", "key", "more")
