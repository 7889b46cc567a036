"""Scripts with a native form, by every client, on both servers: a real one gets the Lua."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError

from cacheapp.clients.scripts import Script
from tests.contract.conftest import Server


def _push(
    call: Callable[..., Any], _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]
) -> Any:
    return [call(b"RPUSH", keys[0], value) for value in arguments]


PUSH = Script(
    "local sizes = {} for i, value in ipairs(ARGV) do"
    " sizes[i] = redis.call('RPUSH', KEYS[1], value) end return sizes",
    _push,
)
LUA_ONLY = Script("return ARGV[1]")


def test_sync(server: Server) -> None:
    client = server.client()
    assert PUSH.run(client, [b"list"], [b"a", b"b"]) == [1, 2]
    assert PUSH.run(client, [b"list"], [b"c"]) == [3]
    assert client.lrange("list", 0, -1) == [b"a", b"b", b"c"]
    assert LUA_ONLY.run(client, [], [b"x"]) == b"x"
    client.set("text", "a")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        PUSH.run(client, [b"text"], [b"a"])


async def test_async(server: Server) -> None:
    client = server.async_client()
    assert await PUSH.arun(client, [b"list"], [b"a", b"b"]) == [1, 2]
    assert await LUA_ONLY.arun(client, [], [b"x"]) == b"x"
    await client.set("text", "a")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await PUSH.arun(client, [b"text"], [b"a"])


def test_a_monitor_sees_the_script_either_way(server: Server) -> None:
    client = server.client()
    PUSH.run(client, [b"list"], [b"a"])
    with client.monitor() as monitor:
        PUSH.run(client, [b"list"], [b"b"])
        commands = [monitor.next_command()["command"]]
        while commands[-1] != "RPUSH list b":
            commands.append(monitor.next_command()["command"])
    assert any(command.startswith("EVAL") for command in commands)


def test_what_decodes_gets_text_from_both(server: Server) -> None:
    client: redis.Redis = server.client(decode_responses=True)
    give = Script("return ARGV[1]", lambda _call, _now, _keys, arguments: arguments[0])
    assert give.run(client, [], ["x"]) == "x"
