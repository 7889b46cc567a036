"""One process of the torture run: it reads all keys and writes its own, and obeys its parent.

Standard input has a command a line, standard output a JSON object a line: a violation, or the
answer to a command. Its one argument is a JSON object with the fields of `Orders`.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.invalidation.torture.oracle import Oracle

KEYS_EACH = 5
READS = 25
PAUSE_S = 0.002
CHILD_S = 1.0
JOIN_S = 5.0
HANG_S = 30.0
#: Of the process that serves copies past their lease in an outage.
STALE_S = 0.5


@dataclass(frozen=True)
class Orders:
    """What a worker is told at its start.

    `port` is the proxy's; `forks` has it fork once between its first write and its first read, as
    under a server that preloads; `degrades` has it serve copies in an outage for `STALE_S` more;
    `plant` is a fault of ours to be found, or "".
    """

    number: int
    processes: int
    port: int
    server_port: int
    oracle: str
    seed: int
    bound_s: float
    forks: bool
    degrades: bool
    plant: str


def configure(orders: Orders) -> None:
    """Settings with one alias that goes through a proxy."""
    import django
    from django.conf import settings

    logging.disable(logging.ERROR)  # an alias that degrades would say so for each fault

    entries = orders.processes * KEYS_EACH - 2  # so that some are evicted
    near = {"bound": orders.bound_s, "ttl": 60.0, "max_entries": entries}
    if orders.degrades:
        near["stale_in_outage"] = STALE_S
    settings.configure(
        SECRET_KEY="torture",
        CACHES={
            "default": {
                "BACKEND": "cacheapp.cache.CacheBackend",
                "LOCATION": f"redis://127.0.0.1:{orders.port}/0",
                "KEY_PREFIX": "t",
                "TIMEOUT": 300,
                "OPTIONS": {
                    "NEAR_CACHE": near,
                    "IGNORE_EXCEPTIONS": orders.degrades,
                    "BREAKER": 0.05,
                    "SOCKET_TIMEOUT": 1.0,
                    "SOCKET_CONNECT_TIMEOUT": 1.0,
                    "CONNECTION_POOL_KWARGS": {"retry": None},
                },
            }
        },
    )
    django.setup()


def say(**what: Any) -> None:
    """One line to the parent, written as one."""
    os.write(1, (json.dumps(what) + "\n").encode())


class Worker:
    """The loop and its counts."""

    def __init__(self, orders: Orders) -> None:
        from django.core.cache import cache

        self.number = orders.number
        self.server_port = orders.server_port
        self.keys = orders.processes * KEYS_EACH
        self.oracle = Oracle(Path(orders.oracle), self.keys)
        self.bound_s = orders.bound_s + (STALE_S if orders.degrades else 0.0)
        self.chance = random.Random(orders.seed * 100 + orders.number)
        self.cache = cache
        first = orders.number * KEYS_EACH
        self.versions = dict.fromkeys(range(first, first + KEYS_EACH), 0)
        self.own: dict[int, tuple[int, float]] = {}
        counted = ("reads", "hits", "outlived", "writes", "errors")
        self.counts = dict.fromkeys(counted, 0)
        #: When each child began that has not ended.
        self.children: list[float] = []
        self.writes = True
        self.commands: list[str] = []
        self.pause = threading.Event()

    def read(self, key: int, get: Callable[[str], Any]) -> None:
        """Read one key and ask the oracle about what came."""
        name = self.cache.storage_key(f"k{key}")
        before = self.cache.near.copies.fills
        held = name in self.cache.near.copies.copies
        version, written_at = self.own.get(key, (0, 0.0))
        began = time.monotonic()
        value = get(f"k{key}")
        self.counts["reads"] += 1
        self.counts["hits"] += held and before == self.cache.near.copies.fills
        if value is None:
            return
        due = self.oracle.due(key, began - self.bound_s)
        if value < due or (value < version and written_at > self.oracle.floor):
            self.accuse(key, value, max(due, version), held)

    def accuse(self, key: int, value: int, due: int, held: bool) -> None:
        """Report a stale value, unless it is what the server has.

        A write that timed out may be carried out after the next one, and is then no copy's fault.
        """
        import redis

        client = redis.Redis(port=self.server_port)
        stored = client.get(self.cache.storage_key(f"k{key}"))
        client.close()
        if stored != b"%d" % value:
            say(stale=key, value=value, due=due, process=self.number, held=held)

    def write(self) -> None:
        """Write one or two of the process's own keys."""
        key, other = self.own_key(), self.own_key()
        # After a failure nobody knows what is there: go far above it first.
        version = self.versions[key] + 10
        self.versions[key] = version
        kind = self.chance.random()
        began, failures = time.monotonic(), self.cache.state.outages.failures
        written = {key: version}
        if kind < 0.5:
            self.cache.set(f"k{key}", version)
        elif kind < 0.6:
            self.cache.delete(f"k{key}")
        elif kind < 0.7:
            self.cache.delete_pattern(f"k{key}")
        elif kind < 0.85:
            self.versions[other] = max(self.versions[other], version) + 10
            written = {key: self.versions[key], other: self.versions[other]}
            self.cache.set_many({f"k{each}": new for each, new in written.items()})
        elif kind < 0.95:
            self.cache.set(f"k{key}", version)
            self.cache.touch(f"k{key}", 200)
        else:
            asyncio.run(self.cache.aset(f"k{key}", version))
        ended = time.monotonic()
        if self.cache.state.outages.failures != failures:
            raise OSError("it failed, and the alias degrades")
        self.counts["writes"] += 1
        for each, new in written.items():
            self.own[each] = (new, began)
            self.oracle.acknowledged(each, new, began, ended)

    def round(self) -> None:
        """Some reads, perhaps a write, a short pause."""
        get = self.cache.get
        for _ in range(READS):
            self.attempt(lambda: self.read(self.any_key(), get))
        if self.chance.random() < 0.01:
            self.attempt(lambda: self.read(self.any_key(), self.aget))
        if self.writes and self.chance.random() < 0.5:
            self.attempt(self.write)
        self.pause.wait(PAUSE_S)

    def own_key(self) -> int:
        """A key of its own: one often, one so seldom that a message lost shows for a while."""
        return list(self.versions)[int(self.chance.random() ** 4 * KEYS_EACH)]

    def any_key(self) -> int:
        """A key of anybody's."""
        return int(self.chance.random() * self.keys)

    def aget(self, key: str) -> Any:
        """A get in an event loop of its own."""
        return asyncio.run(self.cache.aget(key))

    def attempt(self, call: Callable[[], None]) -> None:
        """Do it; an error of the server is no violation."""
        from redis.exceptions import RedisError

        try:
            call()
        except (RedisError, OSError):
            self.counts["errors"] += 1

    def obey(self, command: str) -> None:
        """What the parent wants."""
        if command == "fork":
            self.fork()
        elif command == "fork without listener":
            thread = self.cache.near.listener._thread
            self.cache.near.listener.stop()
            if thread is not None:
                thread.join(JOIN_S)
            self.fork()
        elif command == "kill listener":
            thread = self.cache.near.listener._thread
            if thread is not None and thread.is_alive():
                raised = ctypes.py_object(SystemExit)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_long(thread.ident), raised)
        elif command == "pause writes":
            self.writes = False
            say(paused=True)
        elif command == "go on":
            self.writes = True
        elif command == "compare":
            self.compare()
        elif command == "counts":
            self.counts["outlived"] = self.cache.near.copies.outlived_hits
            say(counts=self.counts, fills=self.cache.near.copies.fills)

    def fork(self) -> None:
        """A child that reads for a while, with what it inherited."""
        self.children.append(time.monotonic())
        if os.fork() == 0:
            self.writes = False
            until = time.monotonic() + CHILD_S
            while time.monotonic() < until:
                self.round()
            os._exit(0)

    def compare(self) -> None:
        """While nobody writes: is every copy what the server has?"""
        import redis

        client = redis.Redis(port=self.server_port)
        for key in range(self.keys):
            self.attempt(lambda key=key: self.cache.get(f"k{key}") and None)
        wrong = []
        for name, copy in list(self.cache.near.copies.copies.items()):
            kept, value = self.cache.near.copies.peek(name), client.get(name)
            if kept is not None and kept != value:
                wrong.append([name.decode(), copy.raw.decode(), value and value.decode()])
        client.close()
        say(compared=len(self.cache.near.copies.copies), wrong=wrong)

    def listen(self) -> None:
        """Collect commands, in a thread."""
        for line in sys.stdin:
            self.commands.append(line.strip())
        os._exit(0)

    def read_on(self) -> None:
        """Read in a thread, besides the main one; another backend, and the same copies."""
        get = self.cache.get
        while True:
            for _ in range(READS):
                self.attempt(lambda: self.read(self.any_key(), get))
            self.pause.wait(PAUSE_S)

    def run(self) -> None:
        """Until standard input ends."""
        threading.Thread(target=self.listen, daemon=True).start()
        threading.Thread(target=self.read_on, daemon=True).start()
        while True:
            while self.commands:
                self.obey(self.commands.pop(0))
            self.round()
            while self.children and os.waitpid(-1, os.WNOHANG)[0]:
                self.children.pop(0)
            if self.children and time.monotonic() - self.children[0] > CHILD_S + HANG_S:
                say(stale="a child of a fork hangs", process=self.number)
                self.children.pop(0)


def plant(fault: str, cache: Any) -> None:
    """Break what the run is to find broken."""
    copies = cache.near.copies
    if fault == "deaf":
        copies.drop = lambda names: None
    elif fault == "lease":
        copies.renew = lambda until: setattr(copies, "until", float("inf"))
    elif fault == "gaps":
        copies.flush = lambda: None
    elif fault == "order":
        from cacheapp.invalidation.protocol import Follower, apply, sequence_of

        def hear(follower: Any, entries: Any) -> None:
            for entry_id, message in entries:
                number = sequence_of(entry_id)
                if follower.last is not None and number is not None and number > follower.last:
                    apply(message, copies)
                    follower.last = number
            hear_none(follower, ())

        hear_none = Follower.hear
        Follower.hear = hear  # type: ignore[method-assign]


def main() -> None:
    """Set up, fork once more where a preloading server would, and run."""
    orders = Orders(**json.loads(sys.argv[1]))
    configure(orders)
    worker = Worker(orders)
    if orders.forks:
        worker.attempt(lambda: worker.cache.set("preloaded", 1) and None)
        child = os.fork()
        if child:
            say(pid=child)
            os.waitpid(child, 0)
            return
    else:
        say(pid=os.getpid())
    plant(orders.plant, worker.cache)
    worker.run()


if __name__ == "__main__":
    main()
