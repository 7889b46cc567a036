"""What a master says to clients that would write when it has no replicas, or confirm something."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError

NO_REPLICAS = "NOREPLICAS Not enough good replicas to write."


def refused(server: Server, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def test_writes_ask_for_replicas(server: Server) -> None:
    server.execute("SET", "a", 1)
    server.execute("CONFIG", "SET", "min-replicas-to-write", 1)
    assert refused(server, "SET", "a", 2) == NO_REPLICAS
    assert server.execute("GET", "a") == b"1"
    assert server.execute("EVAL", "return redis.call('get', 'a')", 0) == b"1"
    assert refused(server, "EVAL", "return redis.call('set', 'a', 2)", 0).startswith("NOREPLICAS ")
    assert refused(server, "EVAL", "#!lua\nreturn 1", 0) == NO_REPLICAS
    assert server.execute("EVAL", "#!lua flags=no-writes\nreturn 1", 0) == 1
    server.execute("MULTI")
    assert refused(server, "SET", "a", 2) == NO_REPLICAS
    assert refused(server, "EXEC").startswith("EXECABORT")
    assert "min_slaves_good_slaves:0" in server.execute("INFO", "replication").decode()
    server.execute("CONFIG", "SET", "min-replicas-max-lag", 0)
    assert server.execute("SET", "a", 2) == b"OK"


def test_nobody_confirms(server: Server) -> None:
    server.execute("SET", "a", 1)
    assert server.execute("WAIT", 0, 0) == 0
    assert server.execute("WAIT", 1, 10) == 0
    assert server.execute("ROLE")[0] == b"master"
