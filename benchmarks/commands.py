"""Each common command in process, through `redis.Redis` methods, beside fakeredis.

Both clients get the same calls on the same data, in turn. What grows or empties a value works on
cycling members or on a supply that lasts for all rounds.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import fakeredis

from benchmarks.measure import Case, compare
from benchmarks.report import Row, row
from cacheapp.clients.factory import get_client

TARGET = 0.06
ROUNDS = 9
_SUPPLY = 40_000
SCRIPT = """
redis.call('SET', KEYS[1], ARGV[1])
redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[3], 'field', ARGV[1])
return redis.call('GET', KEYS[1])
"""

Make = Callable[[Any], Case]


def _turn(prefix: str, count: int) -> Iterator[str]:
    return itertools.cycle([f"{prefix}{number}" for number in range(count)])


def _plain(name: str, *args: Any, **options: Any) -> Make:
    """A call of the client's method `name`, the same each time."""

    def make(client: Any) -> Case:
        method = getattr(client, name)
        return lambda: method(*args, **options)

    return make


def _command(*args: Any) -> Make:
    """A command without a method, or whose method redis-py has deprecated."""
    return lambda client: lambda: client.execute_command(*args)


def seed(client: Any) -> None:
    """The values that the calls read."""
    client.flushall()
    client.set("string", "a value of some length")
    client.set("number", 7)
    client.set("bits", b"\xf0" * 64)
    client.mset({f"string:{number}": f"value {number}" for number in range(10)})
    client.rpush("list", *(f"item {number}" for number in range(100)))
    client.rpush("queue", *(str(number) for number in range(_SUPPLY)))
    client.hset("hash", mapping={f"field{number}": f"value {number}" for number in range(10)})
    client.sadd("set", *(f"member{number}" for number in range(20)))
    client.sadd("other", *(f"member{number}" for number in range(10, 30)))
    client.zadd("zset", {f"member{number}": number * 1.5 for number in range(100)})
    client.pfadd("hll", *map(str, range(1000)))
    client.geoadd("geo", [13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"])
    for number in range(1, 101):
        client.xadd("stream", {"field": f"value {number}"}, id=f"{number}-1")
    pipe = client.pipeline(transaction=False)
    for number in range(_SUPPLY):
        pipe.set(f"doomed:{number}", 1)
    pipe.execute()


def _zadd(client: Any) -> Case:
    members, score = _turn("turn", 100), itertools.count()
    return lambda: client.zadd("zadd", {next(members): next(score)})


def _zadd_large(client: Any) -> Case:
    client.zadd("large", {f"turn{number}": number for number in range(5000)})
    members, score = _turn("turn", 5000), itertools.count()
    return lambda: client.zadd("large", {next(members): next(score)})


def _sadd(client: Any) -> Case:
    members = _turn("turn", 1000)
    return lambda: client.sadd("sadd", next(members))


def _hset(client: Any) -> Case:
    fields = _turn("turn", 50)
    return lambda: client.hset("hset", next(fields), "value")


def _pfadd(client: Any) -> Case:
    members = _turn("turn", 1000)
    return lambda: client.pfadd("pfadd", next(members))


def _delete(client: Any) -> Case:
    names = iter(_turn("doomed:", _SUPPLY))
    return lambda: client.delete(next(names))


def _evalsha(client: Any) -> Case:
    sha = client.script_load(SCRIPT)
    return lambda: client.evalsha(sha, 3, "lua:a", "lua:b", "lua:c", "value")


def _pipeline(transaction: bool) -> Make:
    def make(client: Any) -> Case:
        def call() -> object:
            pipe = client.pipeline(transaction=transaction)
            for number in range(5):
                pipe.set("string", number)
                pipe.incr("number")
            return pipe.execute()

        return call

    return make


CASES: dict[str, Make] = {
    "GET": _plain("get", "string"),
    "GET, missing": _plain("get", "missing"),
    "SET": _plain("set", "string", "a value of some length"),
    "SET EX": _plain("set", "string", "a value of some length", ex=100),
    "SETEX": _command("SETEX", "string", 100, "a value of some length"),
    "SETNX": _plain("setnx", "string", "x"),
    "GETSET": _plain("getset", "string", "a value of some length"),
    "INCR": _plain("incr", "counter"),
    "INCRBYFLOAT": _plain("incrbyfloat", "float", 0.5),
    "MGET of 10": _plain("mget", [f"string:{number}" for number in range(10)]),
    "MSET of 10": _plain("mset", {f"string:{number}": "value" for number in range(10)}),
    "APPEND": _plain("append", "appended", "x"),
    "STRLEN": _plain("strlen", "string"),
    "GETRANGE": _plain("getrange", "string", 2, 6),
    "SETRANGE": _plain("setrange", "string:9", 2, "xyz"),
    "SETBIT": _plain("setbit", "bits", 77, 1),
    "GETBIT": _plain("getbit", "bits", 77),
    "BITCOUNT": _plain("bitcount", "bits"),
    "LPUSH": _plain("lpush", "pushed", "item"),
    "RPUSH": _plain("rpush", "pushed2", "item"),
    "RPOP": _plain("rpop", "queue"),
    "LPOP": _plain("lpop", "queue"),
    "LLEN": _plain("llen", "list"),
    "LINDEX": _plain("lindex", "list", 5),
    "LRANGE of 10": _plain("lrange", "list", 0, 9),
    "LTRIM": _plain("ltrim", "list", 0, 99),
    "HSET": _hset,
    "HSET mapping of 5": _plain("hset", "hset5", mapping={f"f{n}": "value" for n in range(5)}),
    "HGET": _plain("hget", "hash", "field5"),
    "HMGET of 3": _plain("hmget", "hash", ["field1", "field5", "field9"]),
    "HGETALL of 10": _plain("hgetall", "hash"),
    "HEXISTS": _plain("hexists", "hash", "field5"),
    "HLEN": _plain("hlen", "hash"),
    "HINCRBY": _plain("hincrby", "hset", "count", 1),
    "HDEL": _plain("hdel", "hash", "missing"),
    "SADD": _sadd,
    "SREM": _plain("srem", "set", "missing"),
    "SISMEMBER": _plain("sismember", "set", "member5"),
    "SCARD": _plain("scard", "set"),
    "SMEMBERS of 20": _plain("smembers", "set"),
    "SINTER of 20 and 20": _plain("sinter", "set", "other"),
    "ZADD": _zadd,
    "ZADD to 5,000": _zadd_large,
    "ZINCRBY": _plain("zincrby", "zset2", 1, "member"),
    "ZSCORE": _plain("zscore", "zset", "member50"),
    "ZCARD": _plain("zcard", "zset"),
    "ZRANK": _plain("zrank", "zset", "member50"),
    "ZCOUNT": _plain("zcount", "zset", 10, 50),
    "ZRANGE of 10": _plain("zrange", "zset", 0, 9),
    "ZRANGE WITHSCORES of 10": _plain("zrange", "zset", 0, 9, withscores=True),
    "ZREVRANGE WITHSCORES of 10": _plain("zrevrange", "zset", 0, 9, withscores=True),
    "ZRANGEBYSCORE of 10": _plain("zrangebyscore", "zset", 15, 29),
    "ZREM": _plain("zrem", "zset", "missing"),
    "XADD": _plain("xadd", "log", {"field": "value"}),
    "XADD MAXLEN ~": _plain("xadd", "log2", {"field": "value"}, maxlen=1000),
    "XRANGE of 10": _plain("xrange", "stream", "-", "+", 10),
    "XREVRANGE of 1": _plain("xrevrange", "stream", "+", "-", 1),
    "XREAD of 10": _plain("xread", {"stream": "90"}),
    "XLEN": _plain("xlen", "stream"),
    "EXPIRE": _plain("expire", "string:1", 1000),
    "PEXPIRE": _plain("pexpire", "string:1", 1_000_000),
    "TTL": _plain("ttl", "string:1"),
    "PERSIST": _plain("persist", "string:2"),
    "EXISTS": _plain("exists", "string"),
    "TYPE": _plain("type", "string"),
    "DEL": _delete,
    "SCAN": _plain("scan", 0, count=10),
    "PFADD": _pfadd,
    "PFCOUNT": _plain("pfcount", "hll"),
    "GEOADD": _plain("geoadd", "geo", [13.361389, 38.115556, "Palermo"]),
    "GEOSEARCH": _plain(
        "geosearch", "geo", longitude=15, latitude=37, radius=200, unit="km"
    ),
    "GEODIST": _plain("geodist", "geo", "Palermo", "Catania", "km"),
    "PUBLISH": _plain("publish", "channel", "message"),
    "PING": _plain("ping"),
    "EVAL of four calls": _plain("eval", SCRIPT, 3, "lua:a", "lua:b", "lua:c", "value"),
    "EVALSHA of four calls": _evalsha,
    "pipeline of 10": _pipeline(transaction=False),
    "MULTI/EXEC of 10": _pipeline(transaction=True),
}  # fmt: skip


def measure(rounds: int = ROUNDS) -> list[Row]:
    """A row a command."""
    ours, fake = get_client("memory://bench-commands/0"), fakeredis.FakeRedis()
    for client in (ours, fake):
        seed(client)
    rows = []
    for name, make in CASES.items():
        cases = {"cacheapp": make(ours), "fakeredis": make(fake)}
        timings = compare(cases, rounds=rounds, clock=time.thread_time)
        rows.append(row(f"redis.Redis: {name}", timings["cacheapp"], timings["fakeredis"], TARGET))
    return rows
