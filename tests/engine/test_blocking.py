"""Waiting by a clock that the test moves: deadlines, who is forgotten, and what waiting costs."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import BLOCKED, NULL_ARRAY
from cacheapp.engine.session import Session
from cacheapp.engine.shortcuts import msetter, setter
from tests.engine.conftest import Run

KEY_GONE = "UNBLOCKED the stream key no longer exists"


class Client:
    """A session with its inbox."""

    def __init__(self, engine: Engine, protocol: int = 2) -> None:
        self.inbox: list[Any] = []
        self.session: Session = engine.connect(self.inbox.append, protocol=protocol)
        self._engine = engine

    def wait(self, line: str) -> None:
        """Run the command `line`, which has to wait."""
        assert self._engine.execute(self.session, line.encode().split()) is BLOCKED

    def taken(self) -> list[Any]:
        """What came since the last call."""
        taken, self.inbox[:] = list(self.inbox), []
        return taken


def test_nobody_is_answered_before_the_time(engine: Engine, clock: ManualClock) -> None:
    clock.set(1000.0007)
    client = Client(engine)
    client.wait("BLPOP k 1")
    clock.set(1001.0002)
    engine.tick()
    assert client.taken() == []
    clock.set(1001.0011)
    engine.tick()
    assert client.taken() == [NULL_ARRAY]


def test_deadlines_by_the_clock(engine: Engine, clock: ManualClock) -> None:
    late, soon, never = (Client(engine) for _ in range(3))
    never.wait("BLPOP k 0")
    late.wait("BLPOP k 2.5")
    soon.wait("BLMOVE k to LEFT LEFT 1")
    now_ms = int(clock.time() * 1000)
    assert engine.waiters.next_deadline_ms() == now_ms + 1000
    clock.advance(0.999)
    engine.tick()
    assert soon.taken() == []
    clock.advance(0.002)
    engine.tick()
    assert soon.taken() == [NULL_ARRAY]
    assert late.taken() == []
    assert engine.waiters.next_deadline_ms() == now_ms + 2500
    clock.advance(3600)
    engine.tick()
    assert late.taken() == [NULL_ARRAY]
    assert never.taken() == []
    assert engine.waiters.next_deadline_ms() == 0
    assert list(engine.waiters.by_session) == [never.session]


def test_commands_of_others_end_the_overdue(engine: Engine, clock: ManualClock, run: Run) -> None:
    client = Client(engine)
    client.wait("BZPOPMIN k 1")
    clock.advance(2)
    run("PING")
    assert client.taken() == [NULL_ARRAY]
    run("ZADD", "k", 1, "m")
    assert client.taken() == []
    assert run("ZCARD", "k") == 1


def test_who_was_served_has_no_deadline_any_more(
    engine: Engine, clock: ManualClock, run: Run
) -> None:
    client = Client(engine)
    client.wait("BLPOP k 1")
    run("RPUSH", "k", "a")
    assert client.taken() == [[b"k", b"a"]]
    client.wait("BLPOP k 5")
    clock.advance(2)
    engine.tick()
    assert client.taken() == []
    clock.advance(4)
    engine.tick()
    assert client.taken() == [NULL_ARRAY]


def test_a_timeout_beyond_reason_is_for_ever(engine: Engine) -> None:
    Client(engine).wait("BLPOP k 9223372036854775")
    assert engine.waiters.next_deadline_ms() == 0


def test_a_list_that_is_due_is_not_there(engine: Engine, clock: ManualClock, run: Run) -> None:
    client = Client(engine)
    run("RPUSH", "k", "old")
    run("PEXPIRE", "k", 1000)
    clock.advance(2)
    client.wait("BLPOP k 0")
    run("RPUSH", "k", "new")
    assert client.taken() == [[b"k", b"new"]]


def test_nothing_is_left_behind(engine: Engine, run: Run) -> None:
    waiters, database = engine.waiters, engine.databases[0]
    gone, timed, served = (Client(engine) for _ in range(3))
    for client in (gone, timed, served):
        client.wait("BLPOP a b a 5")
    assert [len(queue) for queue in database.waiters.values()] == [3, 3]
    engine.disconnect(gone.session)
    assert waiters.unblock(timed.session, with_error=False)
    assert not waiters.unblock(timed.session, with_error=True)
    run("LPUSH", "b", "x")
    assert (gone.taken(), timed.taken(), served.taken()) == ([], [NULL_ARRAY], [[b"b", b"x"]])
    assert not database.waiters
    assert not waiters.by_session
    assert not waiters.ready_keys


def test_deadlines_of_the_served_do_not_pile_up(engine: Engine, run: Run) -> None:
    clients = [Client(engine) for _ in range(50)]
    for _ in range(20):
        for client in clients:
            if client.session not in engine.waiters.by_session:
                client.wait("BLPOP k 1000")
        run("LPUSH", "k", *range(len(clients) - 1))
    assert sum(len(client.taken()) for client in clients) == 20 * (len(clients) - 1)
    assert len(engine.waiters._deadlines) <= 2 * len(clients) + 1


def test_many_are_served_by_one_command(engine: Engine, run: Run) -> None:
    clients = [Client(engine) for _ in range(2000)]
    for client in clients:
        client.wait("BLPOP k 0")
    run("RPUSH", "k", *range(1999))
    assert [client.taken() for client in clients[:-1]] == [
        [[b"k", b"%d" % number]] for number in range(1999)
    ]
    assert clients[-1].taken() == []


def test_scores_are_shaped_for_who_gets_them(engine: Engine, run: Run) -> None:
    old, new = Client(engine, protocol=2), Client(engine, protocol=3)
    for client in (old, new):
        client.wait("BZMPOP 0 1 z MAX")
    run("ZADD", "z", 1.5, "a", 2, "b")
    assert old.taken() == [[b"z", [[b"b", b"2"]]]]
    assert new.taken() == [[b"z", [[b"a", 1.5]]]]
    assert type(run("ZINCRBY", "z", 1, "a")) is float


def test_an_error_is_delivered_and_counted(engine: Engine, run: Run) -> None:
    client = Client(engine)
    run("SET", "s", "x")
    client.wait("BRPOPLPUSH k s 0")
    run("LPUSH", "k", "a")
    (error,) = client.taken()
    assert isinstance(error, CommandError)
    assert error.code == "WRONGTYPE"
    assert engine.stats.errors == {"WRONGTYPE": 1}
    assert engine.stats.commands["brpoplpush"].failed == 1
    assert run("LLEN", "k") == 1


@pytest.mark.parametrize("many", [False, True])
def test_the_shortcuts_see_who_waits(engine: Engine, run: Run, many: bool) -> None:
    run("XGROUP", "CREATE", "log", "g", "$", "MKSTREAM")
    client = Client(engine)
    client.wait("XREADGROUP GROUP g me BLOCK 0 STREAMS log >")
    session = engine.connect(lambda reply: None)
    if many:
        msetter(session)([(b"a", b"x"), (b"log", b"x")], 0)
    else:
        setter(session)(b"log", b"x", 0)
    (error,) = client.taken()
    assert str(error) == KEY_GONE
