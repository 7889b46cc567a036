"""The server as a replica of its own kind and of a real redis-server, and what clients see."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError, ConfigError
from cacheapp.engine.following import Following
from cacheapp.engine.persistence import rdb, snapshot
from cacheapp.engine.persistence.replay import packed
from cacheapp.engine.session import Session
from cacheapp.server import following
from tests.differential.wire import Wire
from tests.redis_server import HOST, MISSING, RedisServer, binary
from tests.server.running import TIMEOUT_S, RunningServer

TURNS_MAX = 500
WAIT = [b"WAIT", b"1", b"5000"]
READ_ONLY = "READONLY You can't write against a read only replica."
MASTER_DOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
SERVERS = ["engine", pytest.param("redis", marks=pytest.mark.requires_redis)]


class Client(Wire):
    """A connection that knows where it leads."""

    def __init__(self, port: int) -> None:
        super().__init__(HOST, port)
        self.port = port


Start = Callable[..., Client]


def ask(wire: Wire, line: str) -> Any:
    return wire.execute(line.encode().split())


def facts(wire: Wire, section: str = "replication") -> dict[str, str]:
    """INFO's lines of one section."""
    lines = ask(wire, f"INFO {section}").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.02)


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Start:
    """`start("engine")` or `start("redis")` connects to a new server; the test's end ends both."""

    def begin(kind: str, **options: str) -> Client:
        if kind == "redis" and binary() is None:
            pytest.skip(MISSING)
        given = {"enable_debug_command": "yes", "repl_diskless_sync_delay": "0", **options}
        made: type[RunningServer | RedisServer] = RunningServer
        if kind == "redis":
            made = RedisServer
        server = made(**given)
        server.__enter__()
        request.addfinalizer(lambda: server.__exit__(None, None, None))
        client = Client(server.port)
        request.addfinalizer(client.close)
        return client

    return begin


@pytest.fixture(params=SERVERS)
def master(request: pytest.FixtureRequest, start: Start) -> Client:
    return start(request.param)


def until(condition: Callable[[], bool], anywhere: Wire) -> None:
    """Return once `condition` holds; a server's own waiting makes the pauses, a replica's too."""
    for _ in range(TURNS_MAX):
        if condition():
            return
        ask(anywhere, "XREAD BLOCK 20 STREAMS none $")
    raise AssertionError(condition)


def follow(replica: Client, master: Client) -> None:
    assert ask(replica, f"REPLICAOF {HOST} {master.port}") == b"OK"
    until(lambda: facts(replica)["master_link_status"] == "up", master)


def same(replica: Client, master: Client) -> bool:
    assert master.execute(WAIT) == 1
    return bool(ask(replica, "DEBUG DIGEST") == ask(master, "DEBUG DIGEST"))


def fill(master: Client) -> None:
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


def test_it_copies_and_follows(start: Start, master: Client) -> None:
    replica = start("engine")
    ask(replica, "SET own 1")
    fill(master)
    follow(replica, master)
    assert same(replica, master)
    for line in (
        "SET after 1 EX 100", "SELECT 3", "LPUSH q a b c", "SELECT 0", "SPOP t1 5",
        "XREADGROUP GROUP g c COUNT 3 STREAMS x >", "XADD x MAXLEN ~ 50 * a b",
        "INCRBYFLOAT n 1.1", "MULTI", "SET in 1", "EXPIRE in 1000", "EXEC",
        "GEOADD geo 13.3 38.1 here", "SWAPDB 3 4", "GETEX in PX 5000", "GETDEL after",
    ):  # fmt: skip
        ask(master, line)
    assert same(replica, master)
    assert ask(replica, "FUNCTION LIST") == ask(master, "FUNCTION LIST") != []
    assert ask(replica, "ROLE")[:4] == [b"slave", HOST.encode(), master.port, b"connected"]
    told, shown = facts(replica), facts(master)
    assert told["role"] == "slave"
    assert told["master_port"] == str(master.port)
    assert told["master_replid"] == shown["master_replid"]
    assert shown["slave0"].startswith(f"ip={HOST},port={replica.port},state=online")
    assert b"flags=M" in ask(replica, "CLIENT LIST TYPE master")


def test_it_goes_on_where_the_link_broke(start: Start, master: Client) -> None:
    replica = start("engine")
    fill(master)
    follow(replica, master)
    assert ask(master, "CLIENT KILL TYPE replica") == 1
    ask(master, "SET later 1")
    until(lambda: facts(master)["connected_slaves"] == "1", master)
    assert same(replica, master)
    assert ask(replica, "CLIENT KILL TYPE master") == 1
    until(lambda: facts(master, "stats")["sync_partial_ok"] == "2", master)
    assert same(replica, master)
    assert facts(master, "stats")["sync_full"] == "1"


def test_it_goes_on_in_the_database_where_the_link_broke(start: Start, master: Client) -> None:
    replica = start("engine")
    follow(replica, master)
    ask(master, "SELECT 3")
    ask(master, "SET a 1")
    assert same(replica, master)
    assert ask(replica, "CLIENT KILL TYPE master") == 1
    ask(master, "SET b 1")
    until(lambda: facts(master, "stats")["sync_partial_ok"] == "1", master)
    assert same(replica, master)
    assert list(facts(replica, "keyspace")) == ["db3"]


def test_a_failover_says_why_it_is_not_done(start: Start) -> None:
    master, replica = start("engine"), start("engine")
    follow(replica, master)
    assert "supported" in refusal(ask(master, "FAILOVER"))
    assert "supported" in refusal(ask(master, f"FAILOVER TO {HOST} {replica.port} TIMEOUT 5"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "FAILOVER FORCE",
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
        ),
        ("FAILOVER TO nowhere 1", "ERR FAILOVER target HOST and PORT is not a replica."),
        ("FAILOVER FORCE FORCE", "ERR syntax error"),
        ("FAILOVER TIMEOUT 1 TIMEOUT 1", "ERR syntax error"),
        ("FAILOVER TO a 1 TO a 1", "ERR syntax error"),
    ],
)
def test_what_a_failover_refuses(start: Start, master: Client, line: str, told: str) -> None:
    follow(start("engine"), master)
    assert refusal(ask(master, line)) == told


def test_what_went_wrong_here_is_copied_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, replica = start("engine"), start("engine")
    follow(replica, master)
    run = Following._run

    def failing(self: Following, session: Session, args: list[bytes]) -> None:
        run(self, session, args)
        if args[0] == b"APPEND":
            raise RuntimeError

    monkeypatch.setattr(Following, "_run", failing)
    ask(master, "APPEND a x")
    until(lambda: facts(master, "stats")["sync_full"] == "2", master)
    assert same(replica, master)
    assert ask(replica, "GET a") == b"x"


def test_it_follows_another_master_or_none(start: Start, master: Client) -> None:
    replica, other = start("engine"), start("engine")
    ask(master, "SET a 1")
    ask(other, "SET b 1")
    follow(replica, master)
    again = ask(replica, f"REPLICAOF {HOST} {master.port}")
    assert again == b"OK Already connected to specified master"
    follow(replica, other)
    assert ask(replica, "KEYS *") == [b"b"]
    assert ask(replica, "REPLICAOF NO ONE") == b"OK"
    assert ask(replica, "SET c 1") == b"OK"
    assert facts(replica)["role"] == "master"
    assert ask(replica, "CONFIG GET replicaof") == [b"replicaof", b""]


def test_a_chain(start: Start, master: Client) -> None:
    middle, last = start("engine"), start("engine")
    fill(master)
    follow(middle, master)
    follow(last, middle)
    ask(master, "SET later 1")
    assert master.execute(WAIT) == 1
    until(lambda: ask(last, "GET later") == b"1", master)
    assert ask(last, "DEBUG DIGEST") == ask(master, "DEBUG DIGEST")
    # A copy from elsewhere begins anew for all behind it.
    other = start("engine")
    ask(other, "SET b 1")
    follow(middle, other)
    until(lambda: ask(last, "KEYS *") == [b"b"], master)


@pytest.mark.requires_redis
def test_a_real_server_behind_it(start: Start) -> None:
    master, middle, last = start("redis"), start("engine"), start("redis")
    fill(master)
    follow(middle, master)
    follow(last, middle)
    ask(master, "LPUSH q 1 2 3")
    until(lambda: ask(last, "LLEN q") == 3, master)
    assert ask(last, "DEBUG DIGEST") == ask(master, "DEBUG DIGEST")


def test_a_due_key_is_the_master_s_to_delete(start: Start, master: Client) -> None:
    replica = start("engine")
    ask(master, "DEBUG SET-ACTIVE-EXPIRE 0")
    follow(replica, master)
    ask(master, "SET k v PX 60")
    assert master.execute(WAIT) == 1
    until(lambda: ask(replica, "GET k") is None, master)
    assert [ask(replica, line) for line in ("EXISTS k", "DBSIZE")] == [0, 1]
    assert ask(master, "GET k") is None
    assert master.execute(WAIT) == 1
    assert ask(replica, "DBSIZE") == 0


def test_to_the_master_s_commands_no_key_is_due(running: RunningServer) -> None:
    engine = running.engine
    session = engine.connect(lambda _reply: None)
    past = engine.now_ms - 5000
    with engine.lock:
        engine.following = Following(engine, HOST, 1)
        engine.following.up()
        commands = [
            f"SET k a PXAT {past}", "APPEND k b", f"SET m a PXAT {past + 1}", f"PEXPIREAT m {past}",
            "MULTI", "APPEND k c", "RENAME k n", "EXEC", "NONSENSE",
        ]  # fmt: skip
        engine.following.apply([line.encode().split() for line in commands], 100)
        assert engine.following.offset == 100
        db = engine.databases[0]
        assert {key: db.values[slot] for key, slot in db.slots.items()} == {
            b"n": b"abc", b"m": b"a",
        }  # fmt: skip
        engine.following.apply([[b"MULTI"]], 115)
        assert engine.following.offset == 100
    assert engine.execute(session, [b"GET", b"n"]) is None
    assert engine.execute(session, [b"KEYS", b"*"]) == []


def test_what_came_before_an_open_transaction_counts(running: RunningServer) -> None:
    engine = running.engine
    with engine.lock:
        followed = engine.following = Following(engine, HOST, 1)
        followed.up()
        before, begun = [[b"INCR", b"n"]], [[b"MULTI"], [b"INCR", b"n"]]
        end = len(b"".join(map(packed, before)))
        whole = end + len(b"".join(map(packed, begun)))
        followed.apply(before + begun, whole)
        assert followed.offset == end
        followed.apply([[b"INCR", b"n"]], whole + 20)
        assert followed.offset == end
        # Broken here, the transaction comes again, and INCR of before does not.
        followed.down()
        followed.up()
        followed.apply([*begun, [b"EXEC"]], whole + 14)
        assert followed.offset == whole + 14
        db = engine.databases[0]
        assert db.values[db.slots[b"n"]] == 2


def test_nothing_is_taken_of_a_former_master(running: RunningServer) -> None:
    engine = running.engine
    session = engine.connect(lambda _reply: None)
    engine.execute(session, [b"SET", b"k", b"v"])
    empty = b"".join(rdb.pieces(snapshot.Snapshot(), engine.config, engine.now))
    with engine.lock:
        former = Following(engine, HOST, 1)
        former.load(empty, "a", 1)
        former.up()
    assert former.session is None
    assert engine.execute(session, [b"GET", b"k"]) == b"v"


def test_a_master_that_says_nothing_new_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read() -> bytes:
        loop = asyncio.get_running_loop()
        now = loop.time()
        reader = asyncio.StreamReader()
        line = loop.create_task(following._line(reader, 60))
        for _ in range(3):
            await asyncio.sleep(0)
            now += 40
            monkeypatch.setattr(loop, "time", lambda at=now: at)
            reader.feed_data(b"\n")
            # A turn for the timer, and one for what it wakes.
            for _ in range(3):
                await asyncio.sleep(0)
        reader.feed_data(b"+OK\r\n")
        return await line

    assert asyncio.run(read()) == b"+OK"


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port at which nobody listens, nor comes to."""
    with socket.socket() as kept:
        kept.bind((HOST, 0))
        yield int(kept.getsockname()[1])


@pytest.fixture(params=SERVERS)
def orphan(request: pytest.FixtureRequest, start: Start, nobody: int) -> Client:
    """A server with a key that follows nobody who is there."""
    server = start(request.param)
    ask(server, "SET k v")
    ask(server, f"REPLICAOF {HOST} {nobody}")
    return server


def refusal(reply: object) -> str:
    assert isinstance(reply, CommandError), reply
    return str(reply)


def test_a_replica_is_read_only(orphan: Client) -> None:
    assert ask(orphan, "GET k") == b"v"
    assert refusal(ask(orphan, "SET k w")) == READ_ONLY
    script = b"return redis.call('set', 'k', 'w')"
    assert refusal(orphan.execute([b"EVAL", script, b"1", b"k"])).startswith(READ_ONLY)
    assert orphan.execute([b"EVAL", b"return redis.call('get', 'k')", b"1", b"k"]) == b"v"
    assert refusal(orphan.execute([b"EVAL", b"#!lua\nreturn 1", b"0"])) == READ_ONLY
    assert orphan.execute([b"EVAL", b"#!lua flags=no-writes\nreturn 1", b"0"]) == 1
    assert ask(orphan, "MULTI") == b"OK"
    assert refusal(ask(orphan, "SET k w")) == READ_ONLY
    assert refusal(ask(orphan, "EXEC")).startswith("EXECABORT")
    assert refusal(ask(orphan, "WAIT 0 1")).startswith("ERR WAIT cannot be used with replica")
    assert refusal(ask(orphan, "FAILOVER")).startswith("ERR FAILOVER is not valid when server is")
    assert (
        refusal(ask(orphan, "SYNC")) == "NOMASTERLINK Can't SYNC while not connected with my master"
    )


def test_a_transaction_that_was_begun_before(orphan: Client) -> None:
    address = ask(orphan, "CONFIG GET replicaof")[1].decode()
    for queued in ([b"SET", b"k", b"w"], [b"EVAL", b"#!lua\nreturn 1", b"0"]):
        ask(orphan, "REPLICAOF NO ONE")
        ask(orphan, "MULTI")
        assert orphan.execute(queued) == b"QUEUED"
        other = Client(orphan.port)
        ask(other, f"REPLICAOF {address}")
        other.close()
        expected = f"EXECABORT Transaction discarded because of: {READ_ONLY}"
        assert refusal(ask(orphan, "EXEC")) == expected


def test_demoted_in_a_transaction_it_writes_on(orphan: Client) -> None:
    address = ask(orphan, "CONFIG GET replicaof")[1].decode()
    ask(orphan, "REPLICAOF NO ONE")
    for line in ("MULTI", "SET a 1", f"REPLICAOF {address}", "SET b 1"):
        ask(orphan, line)
    assert ask(orphan, "EXEC") == [b"OK"] * 3
    assert refusal(ask(orphan, "SET c 1")) == READ_ONLY


def test_a_writable_replica(orphan: Client) -> None:
    ask(orphan, "CONFIG SET replica-read-only no")
    assert ask(orphan, "SET k w PX 30") == b"OK"
    assert facts(orphan)["slave_read_only"] == "0"


def test_a_stale_replica(orphan: Client) -> None:
    ask(orphan, "CONFIG SET replica-serve-stale-data no")
    for line in ("GET k", "PING", "KEYS *"):
        assert refusal(ask(orphan, line)) == MASTER_DOWN
    for source in (b"return 1", b"#!lua flags=no-writes\nreturn 1"):
        assert refusal(orphan.execute([b"EVAL", source, b"0"])) == MASTER_DOWN
    allowed = b"#!lua flags=allow-stale,no-writes\nreturn redis.call(unpack(ARGV))"
    assert orphan.execute([b"EVAL", allowed, b"0", b"echo", b"hi"]) == b"hi"
    reply = orphan.execute([b"EVAL", allowed, b"0", b"get", b"k"])
    assert "Can not execute the command on a stale replica" in refusal(reply)
    assert ask(orphan, "MULTI") == b"OK"
    assert refusal(ask(orphan, "GET k")) == MASTER_DOWN
    assert refusal(ask(orphan, "EXEC")).startswith("EXECABORT")
    assert facts(orphan)["master_link_status"] == "down"
    assert ask(orphan, "ROLE")[4] == -1


@pytest.mark.parametrize("kind", SERVERS)
def test_who_waits_is_told_and_dropped(start: Start, kind: str, nobody: int) -> None:
    server = start(kind)
    with socket.create_connection((HOST, server.port), TIMEOUT_S) as waiting:
        waiting.sendall(b"BLPOP none 0\r\n")
        until(lambda: facts(server, "clients")["blocked_clients"] == "1", server)
        ask(server, f"REPLICAOF {HOST} {nobody}")
        said = b""
        while piece := waiting.recv(1000):
            said += piece
    assert said == (
        b"-UNBLOCKED force unblock from blocking operation, "
        b"instance state changed (master -> replica?)\r\n"
    )


def test_readers_of_a_stream_wait_on_a_replica(start: Start, master: Client) -> None:
    replica = start("engine")
    ask(master, "XADD s 1-1 a b")
    follow(replica, master)
    with socket.create_connection((HOST, replica.port), TIMEOUT_S) as waiting:
        waiting.sendall(b"XREAD BLOCK 0 STREAMS s $\r\n")
        until(lambda: facts(replica, "clients")["blocked_clients"] == "1", master)
        ask(master, "XADD s 2-1 c d")
        assert waiting.recv(1000).startswith(b"*1\r\n*2\r\n$1\r\ns\r\n")


@pytest.mark.parametrize("kind", SERVERS)
def test_a_pause_of_the_replica_holds_the_master_s_commands(start: Start, kind: str) -> None:
    master, replica = start("engine"), start(kind)
    follow(replica, master)
    ask(replica, "CLIENT PAUSE 60000 WRITE")
    ask(master, "SET k v")
    # It has answered after the command came, and has not run it.
    until(lambda: int(facts(master)["slave0"].split("lag=")[1]) == 0, master)
    assert master.execute([b"WAIT", b"1", b"100"]) == 0
    assert ask(replica, "EXISTS k") == 0
    ask(replica, "CLIENT UNPAUSE")
    until(lambda: ask(replica, "GET k") == b"v", master)


def test_from_an_address_of_its_own(start: Start) -> None:
    # To Redis's protected mode only 127.0.0.1 is this machine.
    master, replica = start("engine"), start("engine", bind_source_addr="127.0.0.9")
    follow(replica, master)
    assert b"addr=127.0.0.9:" in ask(master, "CLIENT LIST TYPE replica")


@pytest.mark.requires_redis
def test_a_real_master_hands_over(start: Start) -> None:
    master, replica = start("redis"), start("engine")
    ask(master, "SET k v")
    follow(replica, master)
    assert master.execute(WAIT) == 1
    assert ask(master, f"FAILOVER TO {HOST} {replica.port} TIMEOUT 5000") == b"OK"
    until(lambda: facts(replica)["role"] == "master", start("engine"))
    assert ask(replica, "SET k w") == b"OK"
    until(lambda: ask(master, "GET k") == b"w", replica)
    assert facts(master)["role"] == "slave"


def test_passwords_and_users(start: Start, master: Client) -> None:
    ask(master, "ACL SETUSER copier on >secret allcommands allkeys")
    ask(master, "ACL SETUSER default >mine")
    replica = start("engine")
    ask(replica, "CONFIG SET masterauth secret masteruser copier")
    follow(replica, master)
    ask(master, "SET k v")
    assert same(replica, master)


def test_from_the_start_by_an_option(start: Start, master: Client) -> None:
    ask(master, "SET k v")
    replica = start("engine", replicaof=f"{HOST} {master.port}")
    until(lambda: ask(replica, "GET k") == b"v", master)
    for wrong in ("here", "here x", "here 70000"):
        with pytest.raises(ConfigError, match="replicaof"):
            Engine({"replicaof": wrong})


@pytest.mark.parametrize("copied", ["yes", "no"])
@pytest.mark.requires_redis
def test_a_copy_of_known_length_or_up_to_a_mark(start: Start, copied: str) -> None:
    master = start("redis", repl_diskless_sync=copied)
    fill(master)
    replica = start("engine")
    follow(replica, master)
    assert same(replica, master)


class Sham:
    """A master that says what the test wants it to."""

    def __init__(self, *scripts: list[bytes]) -> None:
        self._scripts = list(scripts)
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(TIMEOUT_S)
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answers in self._scripts:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(TIMEOUT_S)
                for answer in answers:
                    self.heard.append(connection.recv(10_000))
                    connection.sendall(answer)

    def join(self) -> None:
        self._thread.join(TIMEOUT_S)
        self._listener.close()


@pytest.mark.parametrize(
    "answers",
    [
        [b"-ERR no\r\n"],
        [b"+PONG\r\n", b"+OK\r\n", b"+OK\r\n", b"-LOADING yet\r\n"],
        [b"+PONG\r\n", b"-ERR what\r\n", b"-ERR what\r\n", b"+FULLRESYNC\r\n"],
        [b"+PONG\r\n", b"+OK\r\n", b"+OK\r\n", b"\n\n+FULLRESYNC abc 10\r\nwhat\r\n"],
        [b"+PONG\r\n", b"+OK\r\n", b"+OK\r\n", b"+FULLRESYNC abc 10\r\n$5\r\nREDIS"],
        [b"+PONG\r\n", b"+OK\r\n", b"+OK\r\n", b"+FULLRESYNC abc 10\r\n$50\r\nREDIS"],
    ],
)
def test_what_is_no_copy_changes_nothing(start: Start, answers: list[bytes]) -> None:
    replica = start("engine")
    ask(replica, "SET k v")
    sham = Sham(answers, answers)
    ask(replica, f"REPLICAOF {HOST} {sham.port}")
    sham.join()
    # It has tried again.
    assert sham.heard[0] == sham.heard[len(answers)] == b"*1\r\n$4\r\nPING\r\n"
    assert ask(replica, "GET k") == b"v"
    assert facts(replica)["master_link_status"] == "down"
    ask(replica, "REPLICAOF NO ONE")


def test_an_engine_without_sockets_cannot_follow() -> None:
    engine = Engine()
    session = engine.connect(lambda _reply: None)
    with pytest.raises(CommandError, match="in its clients' own process"):
        engine.execute(session, [b"REPLICAOF", b"here", b"1"])
    assert engine.execute(session, [b"REPLICAOF", b"NO", b"ONE"]) == b"OK"


def test_who_has_stopped_serving_cannot_follow() -> None:
    with RunningServer() as server:
        session = server.engine.connect(lambda _reply: None)
    with pytest.raises(CommandError, match="cannot be a replica"):
        server.engine.execute(session, [b"REPLICAOF", b"here", b"1"])
