"""A server that became a replica, or got another history, is not what the lease was given for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.contract.nearcaches import Process, until
from tests.redis_server import RedisServer, free_port

pytestmark = pytest.mark.requires_redis


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One of its own, since its role changes."""
    with RedisServer() as started:
        yield started


@pytest.fixture
def reader(server: RedisServer) -> Iterator[Process]:
    """A process with a lease and a copy."""
    process = Process(lambda: redis.Redis.from_url(server.url()))
    process.start()
    process.put(b"a")
    yield process
    process.stop()
    process.client.close()


def test_a_replica_gives_no_lease(reader: Process) -> None:
    connections = reader.listener.connections
    reader.client.replicaof("127.0.0.1", free_port())
    until(lambda: not reader.copies.is_good)
    until(lambda: reader.listener.connections > connections + 2)
    assert not reader.copies.is_good
    reader.client.replicaof("NO", "ONE")
    until(lambda: reader.copies.is_good)
    assert not reader.copies.copies


def test_another_history_is_a_flush(reader: Process) -> None:
    connections = reader.listener.connections
    reader.client.execute_command("DEBUG", "CHANGE-REPL-ID")
    until(lambda: not reader.copies.copies)
    assert reader.listener.connections == connections
    until(lambda: reader.copies.is_good)
