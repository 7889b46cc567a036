"""WriteBehind on both servers: batches, tries, what is set aside, and workers that die."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cacheapp.cache import SerializationError
from cacheapp.cache.writebehind import APPEND, Item, QueueFullError, WriteBehind, queues
from cacheapp.cache.writeworker import Worker
from tests.cache.aliases import maker
from tests.contract.conftest import Server
from tests.native_forms import BothForms

# A worker closes the database's old connections around each batch.
pytestmark = pytest.mark.django_db

MakeQueue = Callable[..., WriteBehind]


@pytest.fixture
def make_queue(server: Server, settings: Any) -> Iterator[MakeQueue]:
    maker(settings)(server.url, KEY_PREFIX="p")
    made: list[str] = []

    def make(handler: Any, name: str = "hits", **options: Any) -> WriteBehind:
        made.append(name)
        return WriteBehind(name, handler, **options)

    yield make
    for name in made:
        queues.pop(name, None)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cacheapp.cache.writeworker.RETRY_S", 0.0)


class Handler:
    """Keeps what it gets; fails for payloads that say so."""

    def __init__(self) -> None:
        self.batches: list[list[Item]] = []
        self.called = threading.Event()

    def __call__(self, items: list[Item]) -> None:
        self.batches.append(items)
        self.called.set()
        if any(item.payload == "poison" for item in items):
            raise LookupError("no such row")

    @property
    def payloads(self) -> list[list[Any]]:
        return [[item.payload for item in batch] for batch in self.batches]


def worker(queue: WriteBehind, name: str = "w1") -> Worker:
    made = Worker(queue, threading.Event(), name=name)
    made.step(waits=False)
    return made


def test_in_batches_in_order_with_ids(make_queue: MakeQueue) -> None:
    handler = Handler()
    queue = make_queue(handler, batch_size=3)
    ids = [queue.append({"n": number}) for number in range(4)]
    assert queue.append((1, b"\xff", None), id="mine") == "mine"
    assert queue.counts() == {"waiting": 5, "dead": 0}
    flushing = worker(queue)
    while flushing.step(waits=False):
        pass
    assert handler.payloads == [[{"n": 0}, {"n": 1}, {"n": 2}], [{"n": 3}, (1, b"\xff", None)]]
    assert [item.id for batch in handler.batches for item in batch] == [*ids, "mine"]
    assert queue.counts() == {"waiting": 0, "dead": 0}
    assert flushing.handled == 5
    client = queue.server.client()
    assert client.xpending(queue.stream, "cacheapp")["pending"] == 0


async def test_natively(make_queue: MakeQueue) -> None:
    queue = make_queue(Handler())
    await queue.aappend("a", id="1")
    assert queue.counts() == {"waiting": 1, "dead": 0}
    await queue.server.async_client().aclose()


def test_a_coroutine_function_as_handler(make_queue: MakeQueue) -> None:
    seen: list[Any] = []

    async def handler(items: list[Item]) -> None:
        seen.extend(item.payload for item in items)

    queue = make_queue(handler)
    queue.append("a")
    worker(queue).step(waits=False)
    assert seen == ["a"]


def test_a_poisoned_entry_is_set_aside_and_its_neighbours_are_not(
    make_queue: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Handler()
    queue = make_queue(handler, tries=2)
    for payload in ("a", "poison", "b"):
        queue.append(payload, id=payload)
    flushing = worker(queue)
    flushing.step(waits=False)
    assert handler.payloads == [["a", "poison", "b"]] * 2 + [["a"], ["poison"], ["b"]]
    assert (flushing.handled, flushing.set_aside) == (2, 1)
    assert queue.counts() == {"waiting": 0, "dead": 1}
    (dead,) = queue.dead()
    assert (dead.id, dead.payload, dead.tries) == ("poison", "poison", 2)
    assert dead.error == "LookupError: no such row"
    assert "--dead hits" in caplog.text
    assert queue.revive(["0-1"]) == 0
    assert queue.revive([dead.entry]) == 1
    assert queue.counts() == {"waiting": 1, "dead": 0}
    flushing.step(waits=False)
    assert queue.dead()[0].id == "poison"
    assert queue.discard() == 1
    assert queue.counts() == {"waiting": 0, "dead": 0}


def test_a_failure_that_passes_loses_nothing(make_queue: MakeQueue) -> None:
    calls: list[list[Any]] = []

    def handler(items: list[Item]) -> None:
        calls.append([item.payload for item in items])
        if len(calls) < 3:
            raise OSError

    queue = make_queue(handler)
    queue.append("a")
    worker(queue).step(waits=False)
    assert calls == [["a"]] * 3
    assert queue.counts() == {"waiting": 0, "dead": 0}


class Killed(BaseException):
    """What ends a worker in the middle of its batch."""


def test_what_a_dead_worker_had_in_hand_is_taken_over(make_queue: MakeQueue) -> None:
    seen: list[str] = []

    def handler(items: list[Item]) -> None:
        if not seen:
            seen.append("begun")
            raise Killed
        seen.extend(item.payload for item in items)

    queue = make_queue(handler, claim_after=0.02, max_delay=0.01)
    queue.append("a")
    first = Worker(queue, threading.Event(), name="dies")
    with pytest.raises(Killed):
        first.step(waits=False)
    second = Worker(queue, threading.Event(), name="lives")
    while seen == ["begun"]:
        second._claim_at = 0
        second.step(waits=False)
    assert seen == ["begun", "a"]
    assert queue.counts() == {"waiting": 0, "dead": 0}


def test_what_kills_its_workers_is_set_aside_unread(make_queue: MakeQueue) -> None:
    deaths = 0

    def handler(items: list[Item]) -> None:
        nonlocal deaths
        deaths += 1
        raise Killed

    queue = make_queue(handler, claim_after=0.02, max_delay=0.01, tries=3)
    queue.append("killer")
    while not queue.counts()["dead"]:
        try:
            worker(queue, f"w{deaths}").step(waits=False)
        except Killed:
            assert deaths < 10
    assert deaths == 3
    assert queue.dead()[0].error.startswith("Its workers ended")
    assert queue.counts()["waiting"] == 0


def test_an_unreadable_payload_is_set_aside(make_queue: MakeQueue) -> None:
    handler = Handler()
    queue = make_queue(handler)
    worker(queue)
    queue.server.client().xadd(queue.stream, {"id": "x", "body": b"p" + bytes(40)})
    queue.server.client().xadd(queue.stream, {"other": "field"})
    worker(queue, "w2").step(waits=False)
    assert handler.batches == []
    assert [(dead.id, dead.payload) for dead in queue.dead()] == [("x", None), ("", None)]


def test_a_full_queue_refuses(make_queue: MakeQueue) -> None:
    queue = make_queue(Handler(), max_pending=2)
    queue.append(1)
    queue.append(2)
    with pytest.raises(QueueFullError, match="cacheapp_worker"):
        queue.append(3)
    assert queue.counts() == {"waiting": 2, "dead": 0}
    with pytest.raises(SerializationError):
        queue.append(threading.Lock())


def test_with_too_many_set_aside_it_stands_still(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cacheapp.cache.writeworker.DEAD_MAX", 1)
    handler = Handler()
    queue = make_queue(handler, tries=1)
    queue.append("poison")
    flushing = worker(queue)
    flushing.step(waits=False)
    queue.append("healthy")
    with caplog.at_level(logging.ERROR):
        assert flushing.step(waits=False) == flushing.step(waits=False) == 0
    assert [record.getMessage() for record in caplog.records].count(caplog.messages[-1]) == 1
    assert "stands still" in caplog.messages[-1]
    assert queue.counts() == {"waiting": 1, "dead": 1}
    queue.discard()
    assert flushing.step(waits=False) == 1


def test_a_worker_waits_for_more_and_ends_on_demand(make_queue: MakeQueue) -> None:
    handler = Handler()
    queue = make_queue(handler, batch_size=2, max_delay=0.05)
    stop = threading.Event()
    flushing = Worker(queue, stop)
    thread = threading.Thread(target=flushing.run)
    thread.start()
    queue.append("a")
    assert handler.called.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert handler.payloads == [["a"]]
    assert queue.server.client().xinfo_consumers(queue.stream, "cacheapp") == []


def test_flushall_under_a_worker(make_queue: MakeQueue) -> None:
    handler = Handler()
    queue = make_queue(handler)
    flushing = worker(queue)
    queue.server.client().flushall()
    queue.append("a")
    flushing.step(waits=False)
    flushing.step(waits=False)
    assert handler.payloads == [["a"]]


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"tries": 1.5}, {"max_delay": 0}, {"claim_after": 0.5}, {"max_pending": 0}],
)
def test_wrong_numbers(make_queue: MakeQueue, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_queue(Handler(), **wrong)
    make_queue(Handler(), "twice")
    with pytest.raises(ValueError, match="'twice' already"):
        make_queue(Handler(), "twice")


def test_the_native_form() -> None:
    both = BothForms()
    assert both.run(APPEND, [b"stream"], [2, b"1", b"a"]) == b"1000000000-0"
    assert both.run(APPEND, [b"stream"], [2, b"2", b"b"]) == b"1000000000-1"
    assert both.run(APPEND, [b"stream"], [2, b"3", b"c"]) is None
