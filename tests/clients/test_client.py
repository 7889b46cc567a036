"""EngineRedis: its session, the hot commands, what goes through the pool, forks."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ResponseError

from cacheapp.clients import get_client
from cacheapp.clients.client import EngineRedis
from cacheapp.clients.hot import HOT_COMMANDS
from cacheapp.clients.pool import EngineConnectionPool
from cacheapp.engine.engine import Engine
from tests.clients.forks import ignores_the_warning, in_child


def test_one_session_serves_plain_commands(url: str, name: str) -> None:
    client = EngineRedis.from_url(url)
    engine = Engine.shared(name)
    assert not engine.sessions
    for _ in range(3):
        client.set("a", 1)
        client.get("a")
        client.pipeline().get("a").execute()
    assert len(engine.sessions) == 1
    client.close()
    client.close()
    assert not engine.sessions
    assert client.get("a") == b"1"


@pytest.mark.parametrize("mode", ["OFF", "SKIP"])
def test_a_shared_session_goes_on_replying(url: str, mode: str) -> None:
    client = EngineRedis.from_url(url)
    client.set("a", 1)
    with pytest.raises(ResponseError, match="CLIENT REPLY needs a connection"):
        client.client_reply(mode)
    assert client.get("a") == b"1"
    assert client.client_reply("ON") in (True, b"OK")


def test_a_forgotten_client_leaves_no_session(url: str, name: str) -> None:
    client = EngineRedis.from_url(url)
    client.set("a", 1)
    reference = weakref.ref(client)
    del client
    gc.collect()
    assert reference() is None
    assert not Engine.shared(name).sessions


def test_how_a_client_can_be_made(url: str, name: str) -> None:
    by_name = EngineRedis(host=name, db=0, decode_responses=True)
    by_name.set("a", "1")
    pool = EngineConnectionPool.from_url(url)
    by_pool = EngineRedis(connection_pool=pool)
    by_url = EngineRedis(url=f"{url}?decode_responses=yes")
    assert (by_name.get("a"), by_pool.get("a"), by_url.get("a")) == ("1", b"1", "1")
    by_pool.close()
    assert isinstance(by_pool.client(), EngineRedis)
    assert isinstance(get_client(url), EngineRedis)


def test_hot_commands_take_the_place_of_methods_while_there_is_a_session(url: str) -> None:
    client = EngineRedis.from_url(url)
    assert not set(HOT_COMMANDS) & set(vars(client))
    client.ping()
    assert set(HOT_COMMANDS) <= set(vars(client))
    client.close()
    assert not set(HOT_COMMANDS) & set(vars(client))
    single = EngineRedis.from_url(url, single_connection_client=True)
    single.ping()
    assert not set(HOT_COMMANDS) & set(vars(single))
    single.close()


def test_a_subclass_s_methods_are_not_hidden(url: str) -> None:
    class Counting(EngineRedis):
        gets = 0

        def get(self, name: Any) -> Any:
            self.gets += 1
            return super().get(name)

    client = Counting.from_url(url)
    client.set("a", 1)
    assert [client.get("a"), client.get("a")] == [b"1", b"1"]
    assert client.gets == 2


def test_hot_commands_see_the_session_s_state(url: str) -> None:
    client = EngineRedis.from_url(url)
    client.set("a", 1)
    client.execute_command("MULTI")
    assert client.get("a") == b"QUEUED"
    assert client.execute_command("EXEC") == [b"1"]
    client.execute_command("SELECT", 1)
    assert client.get("a") is None


@pytest.mark.parametrize(
    "command",
    [
        lambda client: client.get("a"),
        lambda client: client.set("a", 1),
        lambda client: client.mget(["a"]),
        lambda client: client.incr("a"),
        lambda client: client.execute_command("SELECT", 0),
        lambda client: client.mset_px([("a", 1)], 1000),
        lambda client: client.pipeline(transaction=True).get("a").execute(),
        lambda client: client.pipeline(transaction=False).get("a").execute(),
    ],
)
def test_who_has_killed_its_own_session_gets_an_error_and_then_another(
    url: str, name: str, command: Any
) -> None:
    client = EngineRedis.from_url(url)
    client.set("a", 1)
    killed = client.client_id()
    assert client.client_kill_filter(_id=str(killed), skipme=False) == 1
    with pytest.raises(RedisConnectionError, match=r"Connection closed by server\."):
        command(client)
    assert killed not in Engine.shared(name).sessions
    assert client.get("a") == b"1"
    assert client.client_id() != killed


def test_a_session_that_others_kill_is_replaced_as_in_a_pool(url: str, name: str) -> None:
    client = EngineRedis.from_url(url)
    client.set("a", 1)
    kept, killed = client.get, client.client_id()
    assert get_client(url).client_kill_filter(_id=str(killed)) == 1
    assert client.get("a") == b"1"
    assert client.client_id() != killed
    with pytest.raises(RedisConnectionError):
        kept("a")
    assert killed not in Engine.shared(name).sessions


def test_hot_commands_in_another_encoding(url: str) -> None:
    client = EngineRedis.from_url(url, encoding="latin-1", decode_responses=True)
    plain = EngineRedis.from_url(url)
    client.set("é", "ü")
    assert client.get("é") == "ü"
    assert client.mget(["é"]) == ["ü"]
    assert plain.get(b"\xe9") == b"\xfc"
    with pytest.raises(UnicodeEncodeError):
        client.get("€")


def test_raw_replies_that_are_not_decoded(url: str) -> None:
    client = EngineRedis.from_url(url, decode_responses=True)
    client.set("a", b"\xff")
    assert client.execute_command("GET", "a", NEVER_DECODE=[]) == b"\xff"
    assert client.execute_command("GET", "a", "b", EMPTY_RESPONSE="none") == "none"
    with pytest.raises(UnicodeDecodeError):
        client.get("a")


def test_lower_case_names_are_parsed_as_well(url: str) -> None:
    client = EngineRedis.from_url(url)
    assert client.execute_command("set", "a", 1) is True
    assert client.execute_command(b"GET", "a") == b"1"
    assert client.execute_command("config get", "maxmemory") == {"maxmemory": "0"}


def test_a_pipeline_with_a_subscription_goes_through_a_connection(url: str, name: str) -> None:
    client = EngineRedis.from_url(url, protocol=2)
    client.ping()
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("ECHO", "x")
    pipe.execute_command("UNSUBSCRIBE", "news")
    assert pipe.execute() == [b"x", [b"unsubscribe", b"news", 0]]
    assert len(Engine.shared(name).sessions) == 2


def test_threads_share_a_client(url: str) -> None:
    client = EngineRedis.from_url(url)
    failures: list[Any] = []

    def work(number: int) -> None:
        for step in range(200):
            client.set(f"k{number}", step)
            if client.get(f"k{number}") != str(step).encode():
                failures.append((number, step))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_strings_with_one_deadline_are_all_or_none(url: str) -> None:
    client = EngineRedis.from_url(url)
    with pytest.raises(DataError):
        client.mset_px([("a", 1), ("b", object())], 1000)
    with pytest.raises(ResponseError):
        client.mset_px([("a", 1)], -5)
    assert client.get("a") is None


def test_an_interrupted_transaction_leaves_no_queue(
    url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = EngineRedis.from_url(url)
    client.set("a", 1)
    engine = Engine.shared(name)
    execute = engine.execute

    def interrupted(session: Any, args: list[bytes]) -> Any:
        if args[0] == b"ECHO":
            raise KeyboardInterrupt
        return execute(session, args)

    monkeypatch.setattr(engine, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.pipeline().set("a", 2).echo("x").execute()
    assert client.execute_command("GET", "a") == b"1"
    assert client.get("a") == b"1"


# Forks


@ignores_the_warning
def test_a_child_has_the_data_and_its_own_sessions(url: str, name: str) -> None:
    client = EngineRedis.from_url(url)
    client.set("a", "parent")
    client.pipeline().get("a").execute()
    pubsub = client.pubsub()
    pubsub.subscribe("news")
    engine = Engine.shared(name)
    before = set(engine.sessions)

    def child() -> str:
        found = client.get("a")
        client.set("a", "child")
        receivers = client.publish("news", "from the child")
        mine = set(engine.sessions)
        return repr((found, receivers, len(mine), bool(mine & before)))

    assert in_child(child) == repr((b"parent", 0, 1, False))
    assert client.get("a") == b"parent"
    assert set(engine.sessions) == before
    pubsub.close()


@ignores_the_warning
def test_a_child_can_go_on_while_another_thread_of_the_parent_was_busy(url: str) -> None:
    client = EngineRedis.from_url(url)
    client.set("n", 0)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            client.execute_command("INCRBY", "n", 1)

    thread = threading.Thread(target=work)
    thread.start()

    def child() -> str:
        start = int(client.get("n"))
        pipe = client.pipeline()
        pipe.watch("n")
        pipe.multi()
        pipe.execute_command("INCRBY", "n", 5)
        pipe.execute()
        return str(int(client.get("n")) - start)

    try:
        assert [in_child(child) for _ in range(5)] == ["5"] * 5
    finally:
        stop.set()
        thread.join()


@ignores_the_warning
def test_a_stock_pool_in_a_child_makes_connections_of_its_own(url: str, name: str) -> None:
    client = redis.Redis.from_pool(EngineConnectionPool.from_url(url))
    client.set("a", 1)
    parent = os.getpid()

    def child() -> str:
        client.get("a")
        pool = client.connection_pool
        return repr((pool.pid != parent, len(Engine.shared(name).sessions)))

    assert in_child(child) == repr((True, 1))
    assert client.get("a") == b"1"


def test_deadlines_of_fields_by_the_methods_of_redis_py(url: str) -> None:
    client = EngineRedis.from_url(url)
    client.hset("h", mapping={"a": 1, "b": 2})
    assert client.hexpire("h", 100, "a", "x", nx=True) == [1, -2]
    assert client.httl("h", "a", "b") == [100, -1]
    assert client.hpersist("h", "a") == [1]
    assert client.hpexpireat("h", 1, "a") == [2]
    assert client.hgetall("h") == {b"b": b"2"}
    client.close()
