"""MIGRATE without a front: unknown, as what an engine has no way to do."""

from __future__ import annotations

import pytest

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.transfer import TransferError
from tests.engine.conftest import Run


def test_an_engine_without_sockets_does_not_know_it(run: Run) -> None:
    with pytest.raises(CommandError, match=r"^ERR unknown command 'MIGRATE', with args"):
        run("MIGRATE", "host", 1, "k", 0, 1)


def test_what_came_before_a_connection_broke_is_done(run: Run, engine: Engine) -> None:
    asked: list[list[bytes]] = []

    def broken(host: bytes, port: bytes, requests: object, timeout_ms: int) -> list[bytes]:
        assert isinstance(requests, list)
        asked.extend(requests)
        assert (host, port, timeout_ms) == (b"host", b"1", 1000)
        raise TransferError("reading", [b"+OK", b"+OK"])

    engine.transfer = broken
    run("MSET", "a", 1, "b", 2)
    with pytest.raises(CommandError, match="IOERR error or timeout reading to target instance"):
        run("MIGRATE", "host", 1, "", 0, 0, "REPLACE", "KEYS", "a", "b")
    assert run("EXISTS", "a", "b") == 1
    assert [request[0] for request in asked] == [b"SELECT", b"RESTORE", b"RESTORE"]
    assert [asked[1][1:3], asked[1][-1]] == [[b"a", b"0"], b"REPLACE"]
