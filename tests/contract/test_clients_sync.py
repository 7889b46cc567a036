"""redis-py's sync client behaves alike on both servers: replies, pipelines, scripts, locks."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import pytest
import redis
from redis.exceptions import (
    DataError,
    ExecAbortError,
    LockError,
    NoScriptError,
    ResponseError,
    WatchError,
)

from cacheapp.clients import get_client
from tests.contract.conftest import Server

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])


@PROTOCOLS
def test_replies_are_the_same_objects(server: Server, protocol: int) -> None:
    client = server.client(protocol=protocol)
    assert client.set("a", "1") is True
    assert client.get("a") == b"1"
    assert type(client.get("a")) is bytes
    assert client.get("missing") is None
    assert client.incr("a") == 2
    assert client.mget(["a", "missing"]) == [b"2", None]
    assert client.mget("a", "missing") == [b"2", None]
    assert client.hset("h", mapping={"x": "1", "y": "2"}) == 2
    assert client.hgetall("h") == {b"x": b"1", b"y": b"2"}
    assert client.sadd("s", "m") == 1
    assert client.smembers("s") == {b"m"}
    assert client.zadd("z", {"m": 1.5}) == 1
    assert client.zscore("z", "m") == 1.5
    assert client.exists("a", "missing") == 1
    assert client.expire("a", 100) is True
    assert client.ttl("a") == 100
    assert client.ttl("missing") == -2
    assert client.delete("a", "missing") == 1
    assert client.config_get("maxmemory") == {"maxmemory": "0"}
    assert client.ping() is True
    assert client.echo("x") == b"x"


@PROTOCOLS
@pytest.mark.parametrize(
    ("args", "type_"),
    [
        (("HGETALL", "h"), {2: list, 3: dict}),
        (("ZSCORE", "z", "m"), {2: bytes, 3: float}),
        (("SMEMBERS", "s"), {2: list, 3: list}),
        (("ZRANGE", "z", "0", "-1", "WITHSCORES"), {2: list, 3: list}),
        (("INFO", "server"), {2: bytes, 3: bytes}),
        (("SET", "a", "1"), {2: bytes, 3: bytes}),
        (("GET", "missing"), {2: type(None), 3: type(None)}),
        (("DBSIZE",), {2: int, 3: int}),
    ],
)
def test_raw_replies_have_the_type_that_hiredis_gives(
    server: Server, protocol: int, args: tuple[str, ...], type_: dict[int, type]
) -> None:
    client = server.client(protocol=protocol)
    client.hset("h", "x", "1")
    client.zadd("z", {"m": 1.5})
    client.sadd("s", "m")
    connection = client.connection_pool.get_connection()
    connection.send_command(*args)
    assert type(connection.read_response()) is type_[protocol]
    client.connection_pool.release(connection)


def test_decode_responses(server: Server) -> None:
    client = server.client(decode_responses=True)
    client.set("a", "é")
    assert client.get("a") == "é"
    assert client.mget(["a"]) == ["é"]
    client.hset("h", "x", "y")
    assert client.hgetall("h") == {"x": "y"}
    client.set("raw", b"\xff")
    with pytest.raises(UnicodeDecodeError):
        client.get("raw")
    assert client.get("a") == "é"


@pytest.mark.parametrize("key", ["key", b"key", bytearray(b"key"), memoryview(b"key")])
def test_keys_of_every_type_that_redis_py_takes(server: Server, key: object) -> None:
    client = server.client()
    client.set("other", "2")
    assert client.set(key, "1") is True  # type: ignore[arg-type]
    assert client.get(key) == b"1"  # type: ignore[arg-type]
    assert client.mget([key, "other"]) == [b"1", b"2"]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("value", "stored"), [(1, b"1"), (1.5, b"1.5"), (1e20, b"1e+20"), ("é", b"\xc3\xa9")]
)
def test_values_are_encoded_as_redis_py_does(
    client: redis.Redis, value: object, stored: bytes
) -> None:
    client.set("a", value)  # type: ignore[arg-type]
    assert client.get("a") == stored


@pytest.mark.parametrize("value", [True, None, [1], object()])
def test_what_redis_py_cannot_encode_is_a_data_error(client: redis.Redis, value: object) -> None:
    for attempt in (
        lambda: client.set("a", value),  # type: ignore[arg-type]
        lambda: client.set("a", value, px=1000),  # type: ignore[arg-type]
        lambda: client.execute_command("APPEND", "a", value),
        lambda: client.pipeline().append("a", value).execute(),
    ):
        with pytest.raises(DataError):
            attempt()
    assert client.get("a") is None


def test_options_of_set(client: redis.Redis) -> None:
    assert client.set("a", "1", nx=True) is True
    assert client.set("a", "2", nx=True) is None
    assert client.set("a", "2", xx=True, get=True) == b"1"
    assert client.set("a", "3", ex=10) is True
    assert client.ttl("a") == 10
    assert client.set("a", "4", keepttl=True) is True
    assert client.ttl("a") == 10
    assert client.set("a", "5", px=20_000) is True
    assert 19_000 < client.pttl("a") <= 20_000
    assert client.set("a", "6", ex=datetime.timedelta(seconds=30)) is True
    assert client.ttl("a") == 30
    assert client.set("a", "7") is True
    assert client.ttl("a") == -1
    for options in ({"ex": 0}, {"px": -1}, {"ex": 2**62}):
        with pytest.raises(ResponseError, match="invalid expire time in 'set' command"):
            client.set("a", "8", **options)
    with pytest.raises(ResponseError, match="syntax error"):
        client.execute_command("SET", "a", "8", "EX", 1, "PX", 1)
    assert client.get("a") == b"7"


def test_error_replies_are_redis_py_s_classes(client: redis.Redis) -> None:
    client.rpush("list", "x")
    for attempt in (
        lambda: client.get("list"),
        lambda: client.incr("list"),
        lambda: client.execute_command("GET", "list"),
    ):
        with pytest.raises(ResponseError, match=r"^WRONGTYPE Operation against a key"):
            attempt()
    with pytest.raises(NoScriptError, match=r"^No matching script"):
        client.evalsha("0" * 40, 0)
    with pytest.raises(ResponseError, match="unknown command 'NOPE', with args beginning with:"):
        client.execute_command("NOPE", "x")
    with pytest.raises(redis.AuthenticationError):
        client.execute_command("AUTH", "wrong")


def test_several_strings_with_one_deadline(server: Server) -> None:
    for client in (server.client(), server.client(single_connection_client=True)):
        client.mset_px([("a", "1"), (b"b", b"2")], 50_000)  # type: ignore[attr-defined]
        assert client.mget(["a", "b"]) == [b"1", b"2"]
        assert 49_000 < client.pttl("a") <= 50_000
        client.mset_px([("a", 3)], None)  # type: ignore[attr-defined]
        assert (client.get("a"), client.pttl("a")) == (b"3", -1)
        client.mset_px([], 1)  # type: ignore[attr-defined]
        with pytest.raises(ResponseError, match="invalid expire time in 'set' command"):
            client.mset_px([("a", "4")], 0)  # type: ignore[attr-defined]
        with pytest.raises(DataError):
            client.mset_px([("a", "5"), ("b", None)], 1000)  # type: ignore[attr-defined]
        assert client.get("a") == b"3"
        client.close()


@pytest.mark.parametrize(
    "options", [{}, {"decode_responses": True}, {"single_connection_client": True}]
)
def test_bytes_in_and_bytes_out(server: Server, options: dict[str, Any]) -> None:
    client: Any = server.client(**options)
    # Twice, for the second round finds what the first has opened.
    for _ in range(2):
        assert client.store(b"a", b"\xff", 50_000)
        assert client.fetch(b"a") == b"\xff"
        assert client.fetch(b"missing") is None
        assert 49_000 < client.pttl("a") <= 50_000
        client.store_many([(b"b", b"1"), (b"c", b"2")], 50_000)
        assert client.fetch_many([b"b", b"missing", b"c"]) == [b"1", None, b"2"]
        assert 49_000 < client.pttl("b") <= 50_000
        client.hset("hash", mapping={"a": "1"})
        assert client.fetch_fields(b"hash") == {b"a": b"1"}
        assert client.fetch_fields(b"missing") == {}
        client.store_many([(b"b", b"3")], 0)
        assert client.store(b"c", b"4", 0)
        assert (client.pttl("b"), client.pttl("c")) == (-1, -1)
        with pytest.raises(ResponseError, match="invalid expire time"):
            client.store(b"c", b"5", -1)
        client.rpush("list", "x")
        with pytest.raises(ResponseError, match=r"^WRONGTYPE"):
            client.fetch(b"list")
    client.close()


# Pipelines


@pytest.mark.parametrize("transaction", [True, False])
@PROTOCOLS
def test_pipelines(server: Server, transaction: bool, protocol: int) -> None:
    pipe = server.client(protocol=protocol).pipeline(transaction=transaction)
    pipe.set("a", 1).incr("a").get("a").hset("h", "x", "1").hgetall("h").get("missing")
    assert len(pipe) == 6
    assert pipe.execute() == [True, 2, b"2", 1, {b"x": b"1"}, None]
    assert len(pipe) == 0
    assert pipe.execute() == []


@pytest.mark.parametrize("transaction", [True, False])
def test_errors_in_a_pipeline(client: redis.Redis, transaction: bool) -> None:
    client.rpush("list", "x")
    pipe = client.pipeline(transaction=transaction)
    replies = pipe.set("a", 1).incr("list").set("b", 2).execute(raise_on_error=False)
    assert replies[::2] == [True, True]
    assert isinstance(replies[1], ResponseError)
    with pytest.raises(
        ResponseError, match=r"Command # 2 \(INCRBY list 1\) of pipeline caused error"
    ):
        pipe.set("a", 5).incr("list").set("b", 6).execute()
    assert client.mget(["a", "b"]) == [b"5", b"6"]


def test_a_command_that_multi_refuses_spoils_the_transaction(client: redis.Redis) -> None:
    pipe = client.pipeline()
    pipe.set("a", 1)
    pipe.execute_command("GET")
    with pytest.raises(ResponseError, match=r"Command # 2 \(GET\) of pipeline caused error: wrong"):
        pipe.execute()
    assert client.get("a") is None
    client.execute_command("MULTI")
    with pytest.raises(ResponseError):
        client.execute_command("GET")
    with pytest.raises(ExecAbortError):
        client.execute_command("EXEC")


def test_a_pipeline_that_cannot_be_encoded_does_nothing(client: redis.Redis) -> None:
    with pytest.raises(DataError):
        client.pipeline(transaction=False).set("a", 1).set("b", None).execute()  # type: ignore[arg-type]
    assert client.get("a") is None


def test_watch(client: redis.Redis) -> None:
    client.set("a", 1)
    with client.pipeline() as pipe:
        pipe.watch("a")
        value = int(pipe.get("a"))  # type: ignore[arg-type]
        pipe.multi()
        pipe.set("a", value + 1)
        assert pipe.execute() == [True]
        pipe.watch("a")
        client.set("a", 10)
        pipe.multi()
        pipe.set("a", 11)
        with pytest.raises(WatchError):
            pipe.execute()
    assert client.get("a") == b"10"


def test_unwatch_and_leaving_a_pipeline_forget_the_watch(client: redis.Redis) -> None:
    with client.pipeline() as pipe:
        pipe.watch("a")
        client.set("a", 1)
        pipe.unwatch()
        pipe.multi()
        pipe.set("b", 1)
        assert pipe.execute() == [True]
        pipe.watch("a")
    client.set("a", 2)
    assert client.pipeline().set("c", 1).execute() == [True]


def test_transaction_repeats_until_nobody_interfered(client: redis.Redis) -> None:
    client.set("a", 1)
    interfered = []

    def add_one(pipe: redis.client.Pipeline) -> None:
        value = int(pipe.get("a"))  # type: ignore[arg-type]
        if not interfered:
            interfered.append(client.set("a", 5))
        pipe.multi()
        pipe.set("a", value + 1)

    assert client.transaction(add_one, "a") == [True]
    assert client.get("a") == b"6"


def test_transactions_of_many_threads_do_not_mix(client: redis.Redis) -> None:
    client.mset({"a": 0, "b": 0})
    failures = []

    def work() -> None:
        for _ in range(50):
            first, second = client.pipeline().incr("a").incr("b").execute()
            if first != second:
                failures.append((first, second))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert client.mget(["a", "b"]) == [b"200", b"200"]


# Scripts and locks


def test_scripts(client: redis.Redis) -> None:
    script = client.register_script("return {KEYS[1], ARGV[1], redis.call('INCRBY', KEYS[1], 2)}")
    assert script(keys=["n"], args=["x"]) == [b"n", b"x", 2]
    assert client.eval("return 1", 0) == 1
    assert client.script_exists(script.sha) == [True]
    pipe = client.pipeline()
    script(keys=["n"], args=["y"], client=pipe)
    pipe.get("n")
    assert pipe.execute() == [[b"n", b"y", 4], b"4"]


def test_locks(client: redis.Redis) -> None:
    lock = client.lock("lock", timeout=10)
    assert lock.acquire(blocking=False)
    other = client.lock("lock", timeout=10)
    assert not other.acquire(blocking=False)
    assert lock.owned()
    assert not other.owned()
    assert lock.extend(5)
    assert lock.reacquire()
    lock.release()
    with pytest.raises(LockError):
        lock.release()
    with other:
        assert client.get("lock") is not None
    assert client.get("lock") is None


# Clients and connections


def test_a_single_connection_client(server: Server) -> None:
    with server.client(single_connection_client=True) as client:
        name = client.client_id()
        client.execute_command("MULTI")
        assert client.execute_command("APPEND", "a", 1) == b"QUEUED"
        assert client.execute_command("EXEC") == [1]
        assert client.get("a") == b"1"
        assert client.client_id() == name
    shared = server.client()
    single = shared.client()
    assert single.get("a") == b"1"
    single.close()


def test_names_databases_and_credentials_reach_the_server(server: Server) -> None:
    client = get_client(server.url_of(2), client_name="tester")
    assert client.client_getname() in ("tester", b"tester")
    client.set("a", "two")
    client.close()
    # As in redis-py, what the URL says wins.
    client = get_client(server.url_of(2), db=1)
    assert client.get("a") == b"two"
    client.close()
    assert server.client(db=2).get("a") is None
    with pytest.raises(redis.AuthenticationError):
        server.client(username="ann", password="wrong").get("a")


def test_a_closed_client_opens_again(client: redis.Redis) -> None:
    client.set("a", 1)
    client.close()
    assert client.get("a") == b"1"


def test_the_pool_offers_what_django_redis_uses(client: redis.Redis) -> None:
    client.set("a", 1)
    pool = client.connection_pool
    assert isinstance(pool.connection_kwargs, dict)
    pool.disconnect()
    assert client.get("a") == b"1"


def test_response_callbacks_can_be_replaced(client: redis.Redis) -> None:
    client.set("a", 1)
    client.set_response_callback("GET", lambda reply, **options: int(reply))
    client.set_response_callback("SET", lambda reply, **options: reply)
    assert client.get("a") == 1
    assert client.set("a", 2) == b"OK"


def test_iterating_over_keys(client: redis.Redis) -> None:
    client.mset({f"k{number}": number for number in range(50)})
    assert sorted(client.scan_iter("k*", count=7)) == sorted(
        f"k{number}".encode() for number in range(50)
    )


def test_waiting_commands_answer_none_when_nothing_comes(client: redis.Redis) -> None:
    client.rpush("list", "x")
    assert client.execute_command("LPOP", "list") == b"x"
    with pytest.raises(ResponseError, match="wrong number of arguments"):
        client.execute_command("SUBSCRIBE")


def test_quitting_closes_a_connection_and_not_the_client(client: redis.Redis) -> None:
    client.set("a", 1)
    assert client.quit() is True
    assert client.get("a") == b"1"
    assert client.echo("x") == b"x"
