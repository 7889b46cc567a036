"""The two servers behind one fixture: what asks for `server` runs on the engine and on Redis.

Both start empty and with their default configuration for each test. The engine is a new one each
time, under a name that nobody else has, and is forgotten afterwards; redis-server is the
session's one process. Left out on purpose: options of a single server, which are that server's
own tests.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
import redis
import redis.asyncio

from cacheapp.clients.factory import get_async_client, get_client
from cacheapp.engine.engine import Engine
from tests.engine_raw import EngineRaw
from tests.raw import Argument, Raw, SocketRaw
from tests.redis_server import HOST, RedisServer

_numbers = itertools.count(1)


class Server:
    """What a contract test knows of a server: its URL, and the clients that it hands out.

    `kind` is "engine" or "redis", for the rare test whose expectation must differ (say why there).
    """

    kind: str
    url: str

    def __init__(self) -> None:
        self._clients: list[redis.Redis] = []
        self._raws: list[Raw] = []

    def client(self, **options: Any) -> redis.Redis:
        """A sync client from the factory, closed after the test."""
        client = get_client(self.url, **options)
        self._clients.append(client)
        return client

    def async_client(self, **options: Any) -> redis.asyncio.Redis:
        """An asyncio client of the running loop from the factory; the caller closes it."""
        return get_async_client(self.url, **options)

    def raw(self, protocol: int = 2) -> Raw:
        """A raw connection of RESP2 or RESP3, closed after the test."""
        raw = self._connect(protocol)
        self._raws.append(raw)
        return raw

    def execute(self, *args: Argument) -> Any:
        """One command on the test's first raw connection; its exact reply, or ReplyError raised."""
        raw = self._raws[0] if self._raws else self.raw()
        return raw.execute(*args)

    def url_of(self, db: int) -> str:
        """The URL of another database of the same server."""
        return f"{self.url.rpartition('/')[0]}/{db}"

    def close(self) -> None:
        """Close every connection that the test opened."""
        for raw in self._raws:
            raw.close()
        for client in self._clients:
            client.close()

    def _connect(self, protocol: int) -> Raw:
        raise NotImplementedError


class EngineServer(Server):
    """An engine in this process, alone under its name."""

    kind = "engine"

    def __init__(self) -> None:
        super().__init__()
        self.name = f"contract-{next(_numbers)}"
        self.url = f"memory://{self.name}/0"
        self._folder = tempfile.TemporaryDirectory(prefix="cacheapp-engine-")
        options = {"enable-debug-command": "yes", "dir": self._folder.name}
        self.engine = Engine.shared(self.name, options)

    def close(self) -> None:
        """Close what the test opened, and forget the engine."""
        super().close()
        Engine.discard(self.name)
        self._folder.cleanup()

    def _connect(self, protocol: int) -> Raw:
        return EngineRaw(self.engine, protocol)


class ProcessServer(Server):
    """The session's redis-server."""

    kind = "redis"

    def __init__(self, process: RedisServer) -> None:
        super().__init__()
        self.process = process
        self.url = process.url()

    def _connect(self, protocol: int) -> Raw:
        return SocketRaw(HOST, self.process.port, protocol)


@pytest.fixture(params=["engine", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """An empty server: the engine, then a real redis-server (skipped where there is none)."""
    if request.param == "engine":
        found: Server = EngineServer()
    else:
        found = ProcessServer(request.getfixturevalue("redis_server"))
    yield found
    found.close()


@pytest.fixture
def client(server: Server) -> redis.Redis:
    """A sync client of the server, which answers bytes."""
    return server.client()


@pytest_asyncio.fixture
async def aclient(server: Server) -> AsyncIterator[redis.asyncio.Redis]:
    """An asyncio client of the server in the test's own loop, which answers bytes."""
    client = server.async_client()
    yield client
    await client.aclose()
