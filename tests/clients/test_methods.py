"""The functions of `methods` answer and raise what redis-py's own methods do."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest
import redis
from redis.observability.providers import get_observability_instance

from cacheapp.clients.client import EngineRedis
from cacheapp.clients.mappings import HOT_MAPPINGS
from cacheapp.clients.methods import HOT_METHODS
from cacheapp.clients.numbers import HOT_NUMBERS
from cacheapp.engine import propagation
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.propagation import TO_FILE

METHODS = {**HOT_METHODS, **HOT_MAPPINGS, **HOT_NUMBERS}
KEYS = ("string", "number", "list", "hash", "set", "zset", "stream", "missing", b"string", 7)
ARGUMENTS = (
    "a",
    b"b",
    1,
    2.5,
    -1,
    True,
    None,
    datetime.timedelta(seconds=5),
    {"a": 1, b"c": 2.5},
    {},
    ["a", b"c"],
    "-",
    "+",
)
SETTINGS: tuple[dict[str, Any], ...] = (
    {}, {"decode_responses": True}, {"protocol": 2}, {"legacy_responses": False},
    {"encoding": "latin-1"},
)  # fmt: skip


class Stock(EngineRedis):
    """The same client without a function of ours: redis-py's methods, and our execute_command."""

    def _use_hot_commands(self, direct: Any) -> None:
        pass


for _name in METHODS:
    setattr(Stock, _name, getattr(redis.Redis, _name))


def seeded(client: EngineRedis) -> EngineRedis:
    client.mset({"string": "text", "number": 5})
    client.rpush("list", "a", "b", "c")
    client.hset("hash", mapping={"a": 1, "b": 2})
    client.sadd("set", "a", "b")
    client.zadd("zset", {"a": 1, "b": 2.5, "c": 4})
    client.xadd("stream", {"a": 1, "b": 2}, id="1-1")
    client.xadd("stream", {"a": 3}, id="2-1")
    return client


@pytest.fixture(params=SETTINGS, ids=str)
def clients(request: pytest.FixtureRequest) -> Any:
    """Both kinds, each on an engine whose time stands still."""
    return [
        seeded(kind(engine=Engine(clock=ManualClock()), **request.param))
        for kind in (EngineRedis, Stock)
    ]


def outcome(client: EngineRedis, method: str, *args: Any, **named: Any) -> Any:
    try:
        reply = getattr(client, method)(*args, **named)
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
        return type(error), str(error)
    return type(reply), reply


@pytest.mark.parametrize("method", METHODS)
def test_a_method_does_what_that_of_redis_py_does(clients: Any, method: str) -> None:
    calls: list[tuple[Any, ...]] = [()]
    for count in (1, 2, 3, 4):
        # All pairs of a key and an argument; of more arguments, some.
        keys = KEYS if count <= 2 else KEYS[1::3]
        rotations = range(len(ARGUMENTS)) if count > 1 else (0,)
        for key, turn in itertools.product(keys, rotations):
            rest = [ARGUMENTS[(turn + step * step) % len(ARGUMENTS)] for step in range(count - 1)]
            calls.append((key, *rest))
    for args in calls:
        mine, stock = (outcome(client, method, *args) for client in clients)
        assert mine == stock, (method, args)
    _assert_equal_state(*clients)


@pytest.mark.parametrize(
    ("method", "named"),
    [
        ("llen", {"name": "list"}),
        ("hget", {"name": "hash", "key": "a"}),
        ("expire", {"name": "list", "time": 100, "nx": True}),
        ("getrange", {"key": "string", "start": 0, "end": 1}),
        ("incr", {"name": "number", "amount": 3}),
        ("lpop", {"name": "list", "count": 2}),
        ("zrank", {"name": "zset", "value": "b"}),
        ("llen", {"wrong": "list"}),
        ("hset", {"name": "hash", "mapping": {"a": 5, "c": b"d"}}),
        ("hset", {"name": "hash", "key": "a", "value": 2}),
        ("hset", {"name": "hash", "items": ["a", 2]}),
        ("zadd", {"name": "zset", "mapping": {"a": 5, "d": 1e300}}),
        ("zadd", {"name": "zset", "mapping": {"a": 5}, "incr": True}),
        ("zadd", {"name": "zset", "mapping": {"a": "wrong"}}),
        ("xadd", {"name": "stream", "fields": {"a": 5}, "id": "5-1", "maxlen": 1}),
        ("xadd", {"name": "stream", "fields": {"a": 5}, "id": "5-1", "maxlen": -1}),
        (
            "xadd",
            {"name": "stream", "fields": {"a": 5}, "id": "5-1", "maxlen": 1, "approximate": False},
        ),
        ("xadd", {"name": "stream", "fields": {"a": 5}, "id": "0-1"}),
        ("mset", {"mapping": {"a": 1, b"b": 2.5}}),
        ("mset", {"mapping": {"a": True}}),
    ],
)
def test_named_arguments(clients: Any, method: str, named: dict[str, Any]) -> None:
    mine, stock = (outcome(client, method, **named) for client in clients)
    assert mine == stock


@pytest.mark.parametrize("method", ["zrange", "zrevrange"])
@pytest.mark.parametrize("named", [{"withscores": True}, {"withscores": False}, {"desc": True},
    {"withscores": True, "score_cast_func": str}])  # fmt: skip
def test_ranges_with_scores(clients: Any, method: str, named: dict[str, Any]) -> None:
    for client in clients:
        client.zadd("zset", {"low": float("-inf"), "high": float("inf"), "third": 1 / 3})
    mine, stock = (outcome(client, method, "zset", 0, -1, **named) for client in clients)
    assert mine == stock


def test_streams_are_read_as_redis_py_reads_them(clients: Any) -> None:
    for method, args, named in (
        ("xread", ({"stream": "0"},), {}),
        ("xread", ({"stream": "0", "missing": "0"},), {"count": 1}),
        ("xread", ({"stream": "0", b"missing": 0}, 1), {}),
        ("xread", ({"stream": "9-1", "missing": "0"},), {}),
        ("xread", ({"stream": "0"},), {"count": 0}),
        ("xread", ({"stream": "0"},), {"block": 1}),
        ("xread", ({"string": "0"},), {}),
        ("xrange", ("stream", "-", "+", 1), {}),
        ("xrange", ("stream", "-", "+", 0), {}),
        ("xrange", ("stream", "-", "+", "1"), {}),
        ("xrevrange", ("stream", "+", "-", None), {}),
        ("xrange", ("string", "-", "+"), {}),
    ):  # fmt: skip
        mine, stock = (outcome(client, method, *args, **named) for client in clients)
        assert mine == stock, (method, args, named)


def _assert_equal_state(mine: EngineRedis, stock: EngineRedis) -> None:
    assert sorted(map(str, mine.keys())) == sorted(map(str, stock.keys()))
    for key in mine.scan_iter():
        kind = mine.type(key)
        assert kind == stock.type(key)
        if kind not in (b"stream", "stream"):
            assert mine.object("encoding", key) == stock.object("encoding", key)
            assert mine.memory_usage(key) == stock.memory_usage(key)
        assert (mine.pttl(key) > 0) == (stock.pttl(key) > 0)


def test_functions_live_in_the_client_from_the_first_use_until_it_is_closed(url: str) -> None:
    client = EngineRedis.from_url(url)
    assert client.llen("list") == 0
    assert "llen" not in vars(client)
    assert client.llen("list") == 0
    assert "llen" in vars(client)
    client.close()
    assert "llen" not in vars(client)
    assert client.llen("list") == 0


def test_a_subclass_keeps_its_own_method(url: str) -> None:
    class Mine(EngineRedis):
        def llen(self, name: Any) -> Any:
            return "mine"

    client = Mine.from_url(url)
    client.ping()
    assert client.llen("list") == "mine"


def test_the_class_has_the_methods_of_redis_py() -> None:
    assert EngineRedis.llen is redis.Redis.llen


def test_a_new_callback_is_used(url: str) -> None:
    client = EngineRedis.from_url(url)
    client.ping()
    assert client.llen("list") == 0
    client.set_response_callback("LLEN", lambda reply, **options: f"{reply} items")
    assert client.llen("list") == "0 items"


def test_commands_are_counted_logged_and_refused_as_usual(url: str) -> None:
    client = EngineRedis.from_url(url)
    client.rpush("list", "a")
    for _ in range(3):
        client.llen("list")
    client.set("string", "x")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.llen("string")
    stats = client.info("commandstats")["cmdstat_llen"]
    assert (stats["calls"], stats["failed_calls"], stats["rejected_calls"]) == (4, 1, 0)
    assert stats["usec"] >= 0
    client.config_set("slowlog-log-slower-than", 0)
    client.llen("list")
    assert client.slowlog_get(1)[0]["command"] == b"LLEN list"
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.ResponseError, match="maxmemory"):
        client.rpush("list", "b")
    assert client.llen("list") == 1


def test_a_waiting_client_is_served(url: str, name: str) -> None:
    client = EngineRedis.from_url(url)
    client.ping()
    engine = Engine.shared(name)
    delivered: list[Any] = []
    waiting = engine.connect(delivered.append)
    engine.execute(waiting, [b"BLPOP", b"list", b"0"])
    assert client.rpush("list", "a", "b") == 2
    assert delivered == [[b"list", b"a"]]
    with pytest.raises(CommandError):
        engine.execute(waiting, [b"LLEN"])


def test_messages_and_reads_are_counted_where_redis_py_counts_them(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = EngineRedis.from_url(url)
    client.ping()
    counted: list[str] = []
    monkeypatch.setattr(
        "redis.commands.core.record_pubsub_message", lambda **_named: counted.append("message")
    )
    monkeypatch.setattr(
        "redis.commands.core.record_streaming_lag_from_response",
        lambda **_named: counted.append("read"),
    )
    client.publish("channel", "one")
    client.xread({"stream": "0"})
    assert counted == []
    provider = get_observability_instance()
    monkeypatch.setattr(provider, "get_provider_manager", object)
    client.publish("channel", "two")
    client.xread({"stream": "0"})
    assert counted == ["message", "read"]


def test_what_the_functions_change_is_told_with_their_reply(url: str, name: str) -> None:
    client = EngineRedis.from_url(url)
    client.ping()
    told: list[list[bytes]] = []

    class Sink:
        kind = TO_FILE

        def feed(self, _db_index: int, args: list[bytes]) -> None:
            told.append(args)

        def settle(self) -> None:
            pass

    sink = Sink()
    propagation.listen(Engine.shared(name), sink)
    identity = client.xadd("log", {"f": "v"})
    script = "return redis.call('XADD', KEYS[1], '*', 'f', 'v')"
    client.eval(script, 1, "log")
    client.llen("list")
    added = [args for args in told if args[0].upper() == b"XADD"]
    assert added[0][-3] == identity
    assert len(added) == 2
    assert all(b"*" not in args for args in added)


@pytest.mark.parametrize("transaction", [True, False])
def test_pipelines_queue_what_redis_py_would(clients: Any, transaction: bool) -> None:
    calls = (
        ("set", ("string", "new")), ("set", ("string", 1.5)), ("incr", ("number",)),
        ("hget", ("hash", "a")), ("llen", (b"list",)), ("expire", ("hash", 100)),
        ("expire", ("hash", datetime.timedelta(seconds=5))), ("getrange", ("string", 0, 1)),
        ("zincrby", ("zset", 2.5, "a")), ("smembers", ("set",)), ("llen", ("string",)),
        ("hgetall", ("hash",)), ("lpop", ("list",)), ("ttl", ("hash",)), ("zrank", ("zset", "a")),
    )  # fmt: skip
    replies = []
    for client in clients:
        pipe = client.pipeline(transaction=transaction)
        for method, args in calls:
            assert getattr(pipe, method)(*args) is pipe
        replies.append([str(reply) for reply in pipe.execute(raise_on_error=False)])
        with pytest.raises(redis.DataError):
            pipe.llen(None).execute()
    assert replies[0] == replies[1]


def test_a_watching_pipeline_asks_at_once(clients: Any) -> None:
    for client in clients:
        with client.pipeline() as pipe:
            pipe.watch("number")
            assert pipe.llen("list") == 3
            pipe.multi()
            assert pipe.llen("list").set("number", 1).execute() == [3, True]


NUMBERED = (
    ("zadd", ("zset", {"a": 5})), ("zadd", ("zset", {"d": 0.1})), ("zadd", ("zset", {"e": "7"})),
    ("zadd", ("zset", {"a": float("nan")})), ("zadd", ("zset", {"f": float("-inf")})),
    ("zadd", ("zset", {"g": 2 ** 60 + 1})), ("zadd", ("string", {"a": 1})),
    ("zincrby", ("zset", 2, "a")), ("zincrby", ("zset", 0.1, "new")),
    ("zincrby", ("zset", "3", "a")), ("zincrby", ("zset", float("inf"), "f")),
    ("zincrby", ("zset", float("nan"), "a")), ("zcount", ("zset", 1, 4)),
    ("zcount", ("zset", "-inf", "(4")), ("zcount", ("zset", 2, 1)),
    ("zcount", ("zset", float("nan"), 1)), ("zcount", ("missing", 0, 1)),
    ("zcount", ("zset", -1.5, float("inf"))), ("zrangebyscore", ("zset", 1, 2.5)),
    ("zrangebyscore", ("zset", "(1", "+inf")), ("zrangebyscore", ("list", 1, 2)),
    ("hincrby", ("hash", "a", 5)), ("hincrby", ("hash", "new", -5)),
    ("hincrby", ("hash", "a", "7")), ("hincrby", ("hash", "a", 2 ** 63 - 1)),
    ("hincrby", ("hash", "a", 2 ** 70)), ("hincrby", ("list", "a", 1)),
    ("ltrim", ("list", 0, -1)), ("ltrim", ("list", 1, 1)), ("ltrim", ("list", -100, 100)),
    ("ltrim", ("list", "0", "5")), ("ltrim", ("list", 5, 1)), ("ltrim", ("missing", 0, 1)),
    ("incr", ("number",)), ("incrby", ("number", 2 ** 62)), ("incrby", ("number", 2 ** 62)),
    ("incr", ("number", "3")), ("decr", ("number", 4)), ("decr", ("missing number",)),
    ("incr", ("string",)), ("incrby", ("number", 2 ** 63)), ("expire", ("hash", 100)),
    ("expire", ("missing", 1)), ("pexpire", ("hash", 5)), ("expire", ("hash", 2 ** 53)),
    ("expire", ("zset", -1)), ("pexpire", ("set", 0)), ("pexpire", ("stream", 2 ** 63)),
    ("incrbyfloat", ("float", 10.5)), ("incrbyfloat", ("float", 0.1)),
    ("incrbyfloat", ("float", 1234)), ("incrbyfloat", ("float", 1e-09)),
    ("incrbyfloat", ("float", 1e+300)), ("incrbyfloat", ("float", float("inf"))),
    ("incrbyfloat", ("number", 0.25)), ("incrbyfloat", ("number", -0.25)),
    ("incrbyfloat", ("string", 1.5)), ("geoadd", ("geo", [13.361389, 38.115556, "Palermo"])),
    ("geoadd", ("geo", (15.0, 37.0, b"b"))), ("geoadd", ("geo", [181.0, 1.0, "c"])),
    ("geoadd", ("geo", [1.0, 86.0, "c"])), ("geoadd", ("geo", [1, 2, "c"])),
    ("geoadd", ("geo", [float("nan"), 2.0, "c"])), ("geoadd", ("geo", [15.0, 37.0])),
    ("geoadd", ("list", [1.0, 2.0, "x"])), ("geodist", ("geo", "Palermo", "b")),
    ("geodist", ("geo", "Palermo", "b", "km")), ("geodist", ("geo", "Palermo", "b", "xx")),
    ("geodist", ("geo", "Palermo", "none")), ("geodist", ("geo", "Palermo", "b", "")),
    ("xadd", ("stream", {"a": 1})), ("xadd", ("new stream", {"a": 1, "b": 2})),
    ("xadd", ("other", {"a": 1}, "*", 1)), ("xadd", ("stream", {"a": 1}, "*", 2, False)),
    ("xadd", ("list", {"a": 1})), ("pfadd", ("hll", "a")), ("pfadd", ("hll", "a")),
    ("pfadd", ("hll", "a")), ("pfadd", ("hll", "a", "b")), ("pfcount", ("hll",)),
)  # fmt: skip


def _in_state(client: EngineRedis, state: str, shown: list[Any]) -> None:
    engine = client._open().engine
    if state == "monitored":
        engine.monitor(engine.connect(shown.append), wanted=True)
    elif state == "logged":
        client.config_set("slowlog-log-slower-than", 0)
    elif state == "full":
        client.config_set("maxmemory", 1)
    elif state == "notified":
        client.config_set("notify-keyspace-events", "KEA")
        engine.execute(engine.connect(shown.append), [b"PSUBSCRIBE", b"*"])
    elif state == "watched":
        engine.execute(engine.connect(shown.append), [b"WATCH", b"zset"])


@pytest.mark.parametrize("state", ["at rest", "monitored", "logged", "full", "notified", "watched"])
def test_numbers_are_told_as_the_texts_that_they_would_be(clients: Any, state: str) -> None:
    outcomes = []
    for client in clients:
        shown: list[Any] = []
        _in_state(client, state, shown)
        replies = [outcome(client, method, *args) for method, args in NUMBERED * 2]
        engine = client._direct.engine
        log = [entry.args for entry in engine.slowlog.entries]
        calls = {
            name: (stat.calls, stat.failed, stat.rejected)
            for name, stat in engine.stats.commands.items()
            if stat.calls + stat.rejected
        }
        touched = [session.touched for session in engine.sessions.values()]
        outcomes.append((str(replies), shown, log, calls, touched, engine.dirty))
    for mine, stock in zip(*outcomes, strict=True):
        assert mine == stock
    _assert_equal_state(*clients)
