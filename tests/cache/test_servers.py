"""The server of an alias: found by name, refused with a reason, cut off while it is away."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from redis.exceptions import ConnectionError as RedisConnectionError

from cacheapp.cache.outage import CircuitOpenError
from cacheapp.cache.servers import Server, server_of
from cacheapp.clients.scripts import Script
from tests.cache.aliases import MakeCache

ECHO = Script("return ARGV[1]", lambda _call, _now, _keys, arguments: arguments[0])


def test_one_a_process_until_the_settings_change(make_cache: MakeCache, settings: Any) -> None:
    make_cache("memory://servers")
    server = server_of("default")
    assert server_of("default") is server
    assert server.in_process
    assert server.run(ECHO, [], [b"x"]) == b"x"
    settings.CACHES = {**settings.CACHES}
    assert server_of("default") is not server


async def test_async_code_in_process(make_cache: MakeCache) -> None:
    make_cache("memory://servers")
    assert await server_of("default").arun(ECHO, [], [b"x"]) == b"x"


def test_aliases_that_cannot_serve(settings: Any) -> None:
    locmem = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {**settings.CACHES, "other": locmem}
    with pytest.raises(ImproperlyConfigured, match="no alias 'missing'"):
        server_of("missing")
    with pytest.raises(ImproperlyConfigured, match=r"\['other'\].*not .*LocMemCache"):
        server_of("other")


@pytest.fixture
def away(make_cache: MakeCache, request: pytest.FixtureRequest) -> Server:
    """A server that refuses connections, with an outage of its own."""
    options = {"CONNECTION_POOL_KWARGS": {"retry": None}, "BREAKER": 60}
    make_cache("redis://127.0.0.1:1/0", options=options, KEY_PREFIX=request.node.name)
    return server_of("default")


def test_a_server_that_is_away_is_not_asked_for_ever(away: Server) -> None:
    errors = []
    for _ in range(5):
        with pytest.raises(RedisConnectionError) as caught:
            away.run(ECHO, [], [b"x"])
        errors.append(type(caught.value) is CircuitOpenError)
    assert errors == [False, False, False, True, True]


async def test_nor_in_async_code(away: Server) -> None:
    errors = []
    for _ in range(5):
        with pytest.raises(RedisConnectionError) as caught:
            await away.arun(ECHO, [], [b"x"])
        errors.append(type(caught.value) is CircuitOpenError)
    assert errors == [False, False, False, True, True]
