"""A real redis-server follows ours, and what plain connections see of that."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.persistence import copying, rdb
from cacheapp.engine.persistence.rdb import pieces
from cacheapp.engine.persistence.replay import packed
from tests.differential.effects import Attached
from tests.differential.wire import Wire, pack
from tests.redis_server import HOST, MISSING, RedisServer, binary
from tests.server.running import TIMEOUT_S, RunningServer

TURNS_MAX = 300
WAIT = [b"WAIT", b"1", b"5000"]


def ask(wire: Wire, line: str) -> Any:
    return wire.execute(line.encode().split())


def facts(wire: Wire, section: str) -> dict[str, str]:
    """INFO's lines of one section."""
    lines = ask(wire, f"INFO {section}").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


@pytest.fixture
def master(running: RunningServer) -> Iterator[Wire]:
    wire = Wire(HOST, running.port)
    yield wire
    wire.close()


@pytest.fixture
def attached(running: RunningServer) -> Iterator[Attached]:
    found = Attached(HOST, running.port)
    yield found
    found.close()


@pytest.fixture
def replica(running: RunningServer, master: Wire) -> Iterator[RedisServer]:
    """A redis-server that follows `running`, where there is something to follow already."""
    if binary() is None:
        pytest.skip(MISSING)
    fill(master)
    options = {"replicaof": f"{HOST} {running.port}", "repl_diskless_load": "swapdb"}
    with RedisServer(**options) as server:
        for _ in range(TURNS_MAX):
            if master.execute([b"WAIT", b"1", b"50"]) == 1:
                break
        yield server


def fill(master: Wire) -> None:
    """Values of all types, deadlines, a group with pending entries, a library."""
    script = (
        b"for i=1,300 do redis.call('set','k'..i,i,'px',1000000+i) redis.call('rpush','l',i) "
        b"redis.call('zadd','z',i/3,i) redis.call('sadd','t'..i%7,i) redis.call('hset','h',i,i) "
        b"redis.call('xadd','x','*','a',i) end"
    )
    master.execute([b"EVAL", script, b"0"])
    library = b"#!lua name=lib\nredis.register_function('f', function() return 7 end)"
    master.execute([b"FUNCTION", b"LOAD", library])
    ask(master, "XGROUP CREATE x g 0")
    ask(master, "XREADGROUP GROUP g c COUNT 3 STREAMS x >")


@pytest.mark.requires_redis
def test_a_real_server_syncs_and_follows(
    request: pytest.FixtureRequest, master: Wire, replica: RedisServer
) -> None:
    copy = Wire(HOST, replica.port)
    request.addfinalizer(copy.close)
    for line in (
        "SET after 1 EX 100", "SELECT 3", "LPUSH q a b c", "SELECT 0", "SPOP t1 5",
        "XREADGROUP GROUP g c COUNT 3 STREAMS x >", "XADD x MAXLEN ~ 50 * a b",
        "INCRBYFLOAT n 1.1", "MULTI", "SET in 1", "EXPIRE in 1000", "EXEC",
        "GEOADD geo 13.3 38.1 here", "SWAPDB 3 4",
    ):  # fmt: skip
        ask(master, line)
    assert master.execute(WAIT) == 1
    assert ask(copy, "DEBUG DIGEST") == ask(master, "DEBUG DIGEST")
    assert ask(copy, "FUNCTION LIST") == ask(master, "FUNCTION LIST") != []
    role = ask(master, "ROLE")
    assert role[0] == b"master"
    assert [row[:2] for row in role[2]] == [[b"127.0.0.1", b"%d" % replica.port]]
    state = facts(master, "replication")
    assert state["slave0"].startswith(f"ip=127.0.0.1,port={replica.port},state=online,offset=")
    assert b"flags=S" in ask(master, "CLIENT LIST TYPE replica")
    # Its connection breaks; it goes on from where it was.
    assert ask(master, "CLIENT KILL TYPE replica") == 1
    ask(master, "SET later 1")
    assert master.execute(WAIT) == 1
    assert facts(master, "stats")["sync_partial_ok"] == "1"
    assert ask(copy, "DEBUG DIGEST") == ask(master, "DEBUG DIGEST")


def test_an_old_replica_gets_a_copy_and_what_follows(master: Wire, attached: Attached) -> None:
    assert attached.payload.startswith(b"REDIS0010")
    ask(master, "SET a 1")
    ask(master, "SELECT 2")
    ask(master, "SET b 1 PX 1000")
    assert attached.read() == [b"SELECT", b"0"]
    assert attached.read() == [b"SET", b"a", b"1"]
    assert attached.read() == [b"SELECT", b"2"]
    assert attached.read()[:4] == [b"SET", b"b", b"1", b"PXAT"]


@pytest.mark.parametrize(
    ("wanted", "keys", "libraries"),
    [(None, 1, 1), ("functions", 0, 1), ("", 0, 0)],
)
def test_a_copy_for_who_does_not_follow(
    running: RunningServer, master: Wire, wanted: str | None, keys: int, libraries: int
) -> None:
    ask(master, "SET k v")
    library = b"#!lua name=lib\nredis.register_function('f', function() return 7 end)"
    master.execute([b"FUNCTION", b"LOAD", library])
    introduction = [pack([b"REPLCONF", b"rdb-only", b"1"])]
    if wanted is not None:
        introduction.append(pack([b"REPLCONF", b"rdb-filter-only", wanted.encode()]))
    copier = Attached(HOST, running.port, *introduction)
    copy = rdb.parsed(copier.payload, running.engine.config, 0)
    assert (copy.count, len(copy.libraries)) == (keys, libraries)
    assert facts(master, "replication")["connected_slaves"] == "0"
    assert running.engine.propagation is None
    copier.close()
    for option, value in (("rdb-filter-only", "keys"), ("rdb-only", "2")):
        assert isinstance(ask(master, f"REPLCONF {option} {value}"), CommandError)


def test_what_another_thread_changes_is_sent_too(
    running: RunningServer, attached: Attached
) -> None:
    session = running.engine.connect(lambda _reply: None)
    running.engine.execute(session, [b"SET", b"a", b"1"])
    assert [attached.read(), attached.read()] == [[b"SELECT", b"0"], [b"SET", b"a", b"1"]]


def test_effects_of_several_threads_keep_their_order(
    running: RunningServer, attached: Attached
) -> None:
    engine = running.engine

    def both() -> None:
        session = engine.connect(lambda _reply: None)
        first = [b"SET", b"a", b"of another thread"]
        other = threading.Thread(target=engine.execute, args=(session, first))
        other.start()
        other.join()
        engine.execute(session, [b"SET", b"a", b"of the loop"])

    running.in_loop(both)
    received = [attached.read() for _ in range(3)]
    assert [args[-1] for args in received] == [b"0", b"of another thread", b"of the loop"]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set it, and copies for replicas that are being made are made."""
    found = threading.Event()

    def held_back(*arguments: Any, **options: Any) -> Iterator[bytes]:
        assert found.wait(TIMEOUT_S)
        return pieces(*arguments, **options)

    monkeypatch.setattr(copying, "pieces", held_back)
    yield found
    found.set()


def test_nobody_waits_for_a_copy_and_what_happens_meanwhile_comes_after_it(
    running: RunningServer, master: Wire, gate: threading.Event
) -> None:
    ask(master, "SET before 1")
    with running.connect() as peer:
        peer.send(b"PSYNC ? -1\r\nGET a\r\n")
        peer.receive(len("+FULLRESYNC \r\n") + 40 + 2)
        for line in ("SET during 1", "SELECT 1", "SET more 1"):
            assert ask(master, line) == b"OK"
        gate.set()
        assert peer.receive(1) == b"$"
        size = b""
        while not size.endswith(b"\r\n"):
            size += peer.receive(1)
        copy = peer.receive(int(size))
        assert (b"before" in copy, b"during" in copy) == (True, False)
        wanted = packed([b"SELECT", b"0"]) + packed([b"SET", b"during", b"1"])
        wanted += packed([b"SELECT", b"1"]) + packed([b"SET", b"more", b"1"])
        assert peer.receive(len(wanted)) == wanted
        assert peer.receive(8) == b"-ERR Rep"


def test_a_replica_hears_that_its_copy_takes_time(
    running: RunningServer, gate: threading.Event
) -> None:
    with running.connect() as peer:
        peer.send(b"PSYNC ? -1\r\nGET a\r\n")
        peer.receive(len("+FULLRESYNC \r\n") + 40 + 2)
        with running.engine.lock:
            running.engine.replicas._pinged = 0.0
        # It still waits: what it has sent is not answered before the copy.
        assert peer.receive(1) == b"\n"
        gate.set()
        assert peer.receive(1) == b"$"


@pytest.mark.parametrize(
    ("begins", "confirms", "stays"),
    [
        (b"PSYNC ? -1", b"", False),
        (b"PSYNC ? -1", b"REPLCONF ACK 0\r\n", True),
        (b"PSYNC ? -1", b"\n", True),
        (b"SYNC", b"", True),
    ],
)
def test_who_never_confirms_is_dropped(
    running: RunningServer, master: Wire, begins: bytes, confirms: bytes, *, stays: bool
) -> None:
    replicas = running.engine.replicas
    with running.connect() as peer:
        peer.send(begins + b"\r\nGET a\r\n")
        # After the copy comes the refusal of what no replica may do.
        received = b""
        while not received.endswith(b"-ERR Replica can't interact with the keyspace\r\n"):
            received += peer.receive(1)
        with running.engine.lock:
            ((session, replica),) = replicas.by_session.items()
            replica.heard = 0.0
        peer.send(confirms)
        for _ in range(TURNS_MAX):
            if replica.heard or not confirms:
                break
            ask(master, "BLPOP none 0.01")
        with running.engine.lock:
            replica.connected = 1.0
            replicas.tick()
            assert session.closing is not stays


def test_no_copy_is_made_for_who_is_gone(
    running: RunningServer, master: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    went_on, may_go_on, through = threading.Event(), threading.Event(), threading.Event()

    def endless(*_arguments: Any, **_options: Any) -> Iterator[bytes]:
        try:
            while not went_on.is_set():
                assert may_go_on.wait(TIMEOUT_S)
                yield b"."
        finally:
            through.set()

    monkeypatch.setattr(copying, "pieces", endless)
    with running.connect() as peer:
        peer.send(b"PSYNC ? -1\r\n")
        peer.receive(len("+FULLRESYNC \r\n") + 40 + 2)
    for _ in range(TURNS_MAX):
        if not running.engine.replicas.by_session:
            break
        ask(master, "BLPOP none 0.01")
    may_go_on.set()
    ended = through.wait(TIMEOUT_S)
    went_on.set()
    assert ended


def test_what_is_held_for_a_replica_is_bounded(gate: threading.Event) -> None:
    with RunningServer(client_output_buffer_limit="slave 1mb 0 0") as server:
        master = Wire(HOST, server.port)
        with server.connect() as peer:
            peer.send(b"SYNC\r\n")
            for _ in range(TURNS_MAX):
                if facts(master, "replication")["connected_slaves"] == "1":
                    break
            for _ in range(12):
                master.execute([b"SET", b"a", b"x" * 100_000])
            assert facts(master, "replication")["connected_slaves"] == "0"
            gate.set()
            assert peer.rest() == b""
        master.close()


def test_wait_counts_who_has_confirmed(master: Wire, attached: Attached) -> None:
    ask(master, "SET a 1")
    assert ask(master, "WAIT 1 10") == 0
    assert ask(master, "WAIT 0 0") == 0
    received = [attached.read() for _ in range(3)]
    assert received[-1] == [b"REPLCONF", b"GETACK", b"*"]


def test_a_replica_may_not_touch_keys(running: RunningServer) -> None:
    refusal = b"-ERR Replica can't interact with the keyspace\r\n"
    with running.connect() as peer:
        peer.send(b"SYNC\r\nGET a\r\n")
        received = b""
        while not received.endswith(refusal):
            received += peer.receive(1)
        assert received.startswith(b"$")


def test_confirmations_are_not_answered(running: RunningServer) -> None:
    with running.connect() as peer:
        peer.send(b"REPLCONF ACK 5\r\nREPLCONF GETACK *\r\nPING\r\n")
        assert peer.receive(7) == b"+PONG\r\n"


def test_a_slow_replica_is_dropped() -> None:
    with RunningServer(client_output_buffer_limit="slave 1mb 0 0") as server:
        master = Wire(HOST, server.port)
        with socket.create_connection((HOST, server.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"SYNC\r\n")
            assert slow.recv(1) == b"$"
            for _ in range(TURNS_MAX):
                master.execute([b"SET", b"a", b"x" * 100_000])
                if facts(master, "replication")["connected_slaves"] == "0":
                    break
            assert facts(master, "replication")["connected_slaves"] == "0"
        master.close()


def test_the_engine_stops_telling_once_nobody_is_left(running: RunningServer, master: Wire) -> None:
    ask(master, "CONFIG SET repl-backlog-ttl 1")
    attached = Attached(HOST, running.port)
    assert facts(master, "replication")["repl_backlog_active"] == "1"
    attached.close()
    for _ in range(TURNS_MAX):
        if running.engine.propagation is None:
            break
        ask(master, "BLPOP none 0.02")
    assert running.engine.propagation is None
    assert facts(master, "replication")["repl_backlog_active"] == "0"


def test_a_client_without_a_socket_cannot_follow() -> None:
    engine = Engine()
    session = engine.connect(lambda _reply: None)
    with pytest.raises(CommandError, match="connection of its own"):
        engine.execute(session, [b"SYNC"])
