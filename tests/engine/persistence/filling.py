"""Commands that fill an engine, or a redis-server, with every kind of value in every encoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LIBRARY = "#!lua name=lib\nredis.register_function('f', function() return 'called' end)"


def fill(run: Callable[..., Any]) -> None:
    """Give the data to `run`, a command at a time."""
    run("SET", "text", "v" * 100)
    run("SET", "number", 12345)
    run("SET", "binary", bytes(range(256)))
    run("SET", "due", "v", "PX", 5_000_000)
    run("APPEND", "appended", "some bytes")
    run("RPUSH", "list", *range(3000))
    run("RPUSH", "large list", "x" * 10_000, "y" * 20_000)
    run("HSET", "hash", "f", "v", "g", 1)
    run("HSET", "large hash", *range(3000))
    run("SADD", "integers", *range(100))
    run("SADD", "set", "a", "b")
    run("SADD", "large set", *(f"member {n}" for n in range(2000)))
    run("ZADD", "zset", 1, "a", 2.5, "b", "-inf", "c")
    run("ZADD", "large zset", *(word for n in range(500) for word in (n / 3, f"member {n}")))
    run("PFADD", "counter", *range(100))
    run("SETBIT", "bits", 1000, 1)
    for n in range(250):
        run("XADD", "stream", f"{n + 1}-1", "f", n, "g", "v")
    run("XDEL", "stream", "3-1")
    run("XGROUP", "CREATE", "stream", "group", 0)
    run("XREADGROUP", "GROUP", "group", "consumer", "COUNT", 5, "STREAMS", "stream", ">")
    run("SELECT", 3)
    run("SET", "elsewhere", 1)
    run("SELECT", 0)
    run("FUNCTION", "LOAD", LIBRARY)
