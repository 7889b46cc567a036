"""A batch answers what its commands would one by one, in every state of engine and session."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.engine import batches, propagation
from cacheapp.engine.batches import execute_batch, execute_transaction
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError, SessionEndedError
from cacheapp.engine.propagation import TO_FILE
from cacheapp.engine.replies import BLOCKED, Reply
from cacheapp.engine.session import Session

COMMANDS = [
    line.split()
    for line in (
        b"SET a 1", b"INCR a", b"GET a", b"LPUSH a x", b"NOSUCH a", b"GET", b"RPUSH list x y",
        b"LRANGE list 0 -1", b"HSET h f v", b"HGETALL h", b"MULTI", b"SET b 2", b"LPUSH b x",
        b"EXEC", b"CONFIG GET hz", b"EVAL return{redis.call('get','a')} 0", b"SELECT 1", b"GET a",
        b"SPOP none", b"XADD log * f v", b"XLEN log",
        b"CLIENT REPLY SKIP", b"SET c 3", b"GET c",
    )
]  # fmt: skip


def one_by_one(session: Session, commands: list[list[bytes]]) -> list[Reply]:
    replies: list[Reply] = []
    for command in commands:
        try:
            replies.append(session.engine.execute(session, command))
        except CommandError as error:
            replies.append(error)
    return replies


def shown(replies: list[Reply]) -> list[Any]:
    return [
        str(reply) if isinstance(reply, CommandError) else
        [str(item) for item in reply] if isinstance(reply, list) else reply
        for reply in replies
    ]  # fmt: skip


class Heard:
    """A sink of changes."""

    kind = TO_FILE

    def __init__(self) -> None:
        self.lines: list[list[bytes]] = []

    def feed(self, _db_index: int, args: list[bytes]) -> None:
        self.lines.append(args)

    def settle(self) -> None:
        pass


def prepare(engine: Engine, session: Session, state: str) -> None:
    if state == "monitored":
        engine.monitor(engine.connect(lambda _reply: None), wanted=True)
    elif state == "notable":
        engine.execute(session, [b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0"])
    elif state == "full":
        engine.execute(session, [b"CONFIG", b"SET", b"maxmemory", b"1"])
    elif state == "tracked":
        tracker = engine.connect(lambda _reply: None, protocol=3)
        engine.execute(tracker, [b"CLIENT", b"TRACKING", b"ON"])


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("state", ["at rest", "monitored", "notable", "full", "tracked", "told"])
def test_it_is_what_the_commands_do_one_by_one(state: str, protocol: int) -> None:
    outcomes = []
    for run in (execute_batch, one_by_one):
        engine = Engine(clock=ManualClock())
        session = engine.connect(lambda _reply: None, protocol=protocol)
        engine.execute(session, [b"PING"])
        prepare(engine, session, state)
        heard = Heard()
        if state == "told":
            propagation.listen(engine, heard)
        replies = run(session, COMMANDS)
        calls = {name: (stat.calls, stat.failed) for name, stat in engine.stats.commands.items()}
        log = [entry.args for entry in engine.slowlog.entries] if state == "notable" else []
        outcomes.append((shown(replies), calls, engine.epoch % 2, engine.dirty, log, heard.lines))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][0]) == len(COMMANDS)


def test_it_begins_where_it_is_told_and_ends_after_a_number(monkeypatch: Any) -> None:
    monkeypatch.setattr(batches, "BATCH_MAX", 2)
    engine = Engine()
    session = engine.connect(lambda _reply: None)
    commands = [[b"RPUSH", b"list", b"%d" % number] for number in range(5)]
    assert execute_batch(session, commands, 1) == [1, 2]
    assert execute_batch(session, commands, 4) == [3]


def test_a_command_that_waits_ends_it_and_a_waiting_client_is_served() -> None:
    engine = Engine()
    delivered: list[Reply] = []
    waiting, session = engine.connect(delivered.append), engine.connect(lambda _reply: None)
    commands = [[b"BLPOP", b"list", b"0"], [b"PING"]]
    assert execute_batch(waiting, commands) == [BLOCKED]
    assert execute_batch(session, [[b"RPUSH", b"list", b"x"], [b"LLEN", b"list"]]) == [1, 0]
    assert delivered == [[b"list", b"x"]]


def test_it_ends_with_the_session() -> None:
    engine = Engine()
    session = engine.connect(lambda _reply: None)
    assert len(execute_batch(session, [[b"QUIT"], [b"PING"]])) == 1
    assert session.closing


def test_nothing_runs_after_quit() -> None:
    engine = Engine()
    session = engine.connect(lambda _reply: None)
    engine.execute(session, [b"QUIT"])
    with pytest.raises(SessionEndedError):
        engine.execute(session, [b"SET", b"k", b"v"])
    assert not engine.databases[0].slots


QUEUED = [
    line.split()
    for line in (
        b"SET a 1", b"INCR a", b"LPUSH a x", b"RPUSH list x y", b"LPOP list", b"HSET h f v",
        b"HGETALL h", b"EXPIRE a 100", b"SPOP none", b"XADD log * f v", b"ZADD z 1 m", b"GET a",
    )
]  # fmt: skip


def sent(session: Session, commands: list[list[bytes]]) -> list[Reply]:
    """EXEC's reply, by way of MULTI."""
    execute = session.engine.execute
    execute(session, [b"MULTI"])
    for command in commands:
        execute(session, command)
    return execute(session, [b"EXEC"])


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("state", ["at rest", "notable"])
def test_a_transaction_is_what_exec_does(state: str, protocol: int) -> None:
    outcomes = []
    for run in (execute_transaction, sent):
        engine = Engine({"notify-keyspace-events": "KEA"}, clock=ManualClock())
        session = engine.connect(lambda _reply: None, protocol=protocol)
        told: list[Reply] = []
        heard = engine.connect(told.append)
        watching = engine.connect(lambda _reply: None)
        waiting = engine.connect(told.append)
        engine.execute(heard, [b"PSUBSCRIBE", b"*"])
        engine.execute(watching, [b"WATCH", b"a"])
        engine.execute(waiting, [b"BLPOP", b"list", b"0"])
        prepare(engine, session, state)
        replies = run(session, QUEUED)
        assert replies is not None
        calls = {
            name: (stat.calls, stat.failed)
            for name, stat in engine.stats.commands.items()
            if stat.calls
        }
        log = [entry.args for entry in engine.slowlog.entries if entry.args[0] != b"MULTI"]
        outcomes.append(
            (shown(replies), calls, engine.epoch % 2, engine.dirty, log, told, watching.touched,
             session.last_command, engine.stats.errors)
        )  # fmt: skip
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("state", ["monitored", "full", "tracked", "told", "watching"])
def test_a_transaction_is_sent_where_somebody_could_tell(state: str) -> None:
    engine = Engine(clock=ManualClock())
    session = engine.connect(lambda _reply: None)
    prepare(engine, session, state)
    if state == "told":
        propagation.listen(engine, Heard())
    elif state == "watching":
        engine.execute(session, [b"WATCH", b"a"])
    assert execute_transaction(session, QUEUED) is None
    assert len(engine.databases[0]) == 0


@pytest.mark.parametrize(
    "line",
    [b"NOSUCH a", b"GET", b"GET a b", b"EVAL return(1) 0", b"WATCH a", b"BLPOP list 0",
     b"SUBSCRIBE c", b"CONFIG GET hz", b"SELECT 1"],
)  # fmt: skip
def test_a_transaction_of_more_than_commands_on_keys_is_sent(line: bytes) -> None:
    engine = Engine(clock=ManualClock())
    session = engine.connect(lambda _reply: None)
    assert execute_transaction(session, [[b"SET", b"a", b"1"], line.split()]) is None
    assert len(engine.databases[0]) == 0
