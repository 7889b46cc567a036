"""The `server` fixture itself: both servers answer through every kind of connection it offers."""

from __future__ import annotations

import pytest
import redis
import redis.asyncio

from tests.contract.conftest import Server
from tests.raw import ReplyError


def test_clients_and_raw_connections_share_one_store(server: Server, client: redis.Redis) -> None:
    client.set("key", "value")
    assert server.execute("GET", "key") == b"value"
    assert server.client(decode_responses=True).get("key") == "value"


async def test_an_asyncio_client_of_the_test_s_loop(
    server: Server, aclient: redis.asyncio.Redis
) -> None:
    await aclient.set("key", "value")
    assert server.execute("GET", "key") == b"value"


@pytest.mark.parametrize("round_", [1, 2])
def test_each_test_starts_empty_and_with_the_default_configuration(
    server: Server, round_: int
) -> None:
    assert server.execute("DBSIZE") == 0
    name, value = server.execute("CONFIG", "GET", "hash-max-listpack-entries")
    assert (name, value) == (b"hash-max-listpack-entries", b"512")
    server.execute("SET", "left", "over")
    server.execute("CONFIG", "SET", "hash-max-listpack-entries", 3)


def test_raw_errors_are_whole_lines(server: Server) -> None:
    with pytest.raises(ReplyError, match=r"^ERR wrong number of arguments for 'get' command$"):
        server.execute("GET")


def test_raw_connections_speak_the_protocol_they_were_asked_for(server: Server) -> None:
    server.execute("HSET", "hash", "field", "1")
    assert server.raw(protocol=2).execute("HGETALL", "hash") == [b"field", b"1"]
    assert server.raw(protocol=3).execute("HGETALL", "hash") == {b"field": b"1"}


def test_raw_connections_receive_what_is_published(server: Server) -> None:
    for protocol in (2, 3):
        listener = server.raw(protocol)
        assert listener.execute("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        server.raw().execute("PUBLISH", "news", "hello")
        assert listener.receive() == [b"message", b"news", b"hello"]
        listener.close()


def test_another_database_of_the_same_server(server: Server) -> None:
    server.execute("SET", "key", "zero")
    raw = server.raw()
    raw.execute("SELECT", 3)
    raw.execute("SET", "key", "three")
    assert server.url_of(3).endswith("/3")
    assert server.execute("GET", "key") == b"zero"
