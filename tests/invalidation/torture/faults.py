"""What goes wrong in a torture run: a function a fault, each of a `Scene`, in a dict by name.

A fault does its harm, lets some time pass, and mends what would otherwise last for ever.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import redis

from tests.invalidation.torture.oracle import Oracle
from tests.invalidation.torture.proxy import HOST, Proxy
from tests.redis_server import binary, free_port

STREAM = b"cacheapp:invalidation:t"
START_S = 10.0
CAPACITY = 10_000


class Server:
    """A redis-server with one port and one directory over several lives."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = tempfile.mkdtemp(prefix="cacheapp-torture-")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it answers."""
        program = binary()
        assert program is not None
        command = [program, "--bind", HOST, "--port", str(self.port), "--save", ""]
        command += ["--dir", self._folder]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        with redis.Redis(port=self.port, socket_timeout=1) as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(redis.RedisError):
                    if client.ping():
                        return
                threading.Event().wait(0.02)
        raise RuntimeError("redis-server did not start")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def lose_data(self) -> None:
        """Remove what was saved."""
        Path(self._folder, "dump.rdb").unlink(missing_ok=True)

    def close(self) -> None:
        """End it, and remove its directory."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class Process(Protocol):
    """A worker, as the faults see it."""

    pid: int
    proxy: Proxy

    def tell(self, command: str) -> None:
        """Send a command."""


class Scene:
    """What the faults act on."""

    def __init__(
        self, server: Server, workers: list[Any], oracle: Oracle, bound_s: float, seed: int
    ) -> None:
        self.server = server
        self.workers = workers
        self.oracle = oracle
        self.bound_s = bound_s
        self.chance = random.Random(seed)
        self.admin = redis.Redis(port=server.port, retry=None, socket_timeout=5)
        self._clock = threading.Event()

    @property
    def some(self) -> Process:
        """One of the workers."""
        worker: Process = self.chance.choice(self.workers)
        return worker

    def pass_time(self, least: float = 0.2, most: float = 3.0) -> None:
        """Let that many bounds pass, about."""
        self._clock.wait(self.chance.uniform(least, most) * self.bound_s)


def reset(scene: Scene) -> None:
    """Sockets reset, the listener's among them."""
    scene.some.proxy.reset()


def _silence(scene: Scene, way: str) -> None:
    proxy = scene.some.proxy
    proxy.swallows = way
    scene.pass_time(0.5)
    proxy.swallows = ""
    proxy.reset()


def silence_to_server(scene: Scene) -> None:
    """A black hole on the way to the server."""
    _silence(scene, "up")


def silence_from_server(scene: Scene) -> None:
    """A black hole on the way from the server."""
    _silence(scene, "down")


def _restart(scene: Scene) -> None:
    scene.oracle.floor = float("inf")
    scene.server.kill()
    scene.pass_time(0.0, 1.0)
    scene.server.start()
    scene.oracle.floor = time.monotonic()


def restart_without_data(scene: Scene) -> None:
    """SIGKILL, and an empty server."""
    scene.server.lose_data()
    _restart(scene)


def restart_with_data(scene: Scene) -> None:
    """SIGKILL, and a server with what it had a moment ago, its stream included."""
    scene.admin.save()
    scene.pass_time(0.0, 1.0)
    _restart(scene)


def flushall(scene: Scene) -> None:
    """FLUSHALL."""
    scene.admin.flushall()


def delete_stream(scene: Scene) -> None:
    """DEL of the stream."""
    scene.admin.delete(STREAM)


def rename_stream(scene: Scene) -> None:
    """RENAME of the stream, sometimes back again over the new one."""
    with contextlib.suppress(redis.ResponseError):
        scene.admin.rename(STREAM, "aside")
        scene.pass_time(0.0, 1.0)
        if scene.chance.random() < 0.5:
            scene.admin.rename("aside", STREAM)


def wrong_type(scene: Scene) -> None:
    """A string in the place of the stream."""
    scene.admin.set(STREAM, "a string")


def foreign_ids(scene: Scene) -> None:
    """Somebody adds to the stream by the time of day."""
    with contextlib.suppress(redis.ResponseError):
        scene.admin.xadd(STREAM, {"k": "x"})


def _trim(scene: Scene, beyond: int) -> None:
    worker = scene.some
    os.kill(worker.pid, signal.SIGSTOP)
    with contextlib.suppress(redis.ResponseError):
        last = scene.admin.xinfo_stream(STREAM)["last-generated-id"]
        series, _, number = last.partition(b"-")
        if scene.chance.random() < 0.5:
            scene.pass_time(0.1, 0.5)  # others write meanwhile
        first = b"%b-%d" % (series, int(number) + 1 + beyond)
        scene.admin.xtrim(STREAM, minid=first, approximate=False)
    os.kill(worker.pid, signal.SIGCONT)


def trim_at_last(scene: Scene) -> None:
    """Trimmed exactly at the last id that a stopped reader has heard: it misses nothing."""
    _trim(scene, 0)


def trim_past_last(scene: Scene) -> None:
    """Trimmed past the last id that a stopped reader has heard: it misses something."""
    _trim(scene, scene.chance.randint(1, 5))


def trim_to_nothing(scene: Scene) -> None:
    """An empty stream, or nearly, whoever has heard what."""
    with contextlib.suppress(redis.ResponseError):
        scene.admin.xtrim(STREAM, maxlen=scene.chance.choice([0, 1, 2]), approximate=False)


def evict_stream(scene: Scene) -> None:
    """The server evicts whatever it likes, until the stream is gone."""
    scene.admin.config_set("maxmemory-policy", "allkeys-random")
    scene.admin.config_set("maxmemory", 1)
    deadline = time.monotonic() + 2
    while scene.admin.exists(STREAM) and time.monotonic() < deadline:
        scene.pass_time(0.0, 0.02)
    scene.admin.config_set("maxmemory", 0)
    scene.admin.config_set("maxmemory-policy", "noeviction")


def stop_process(scene: Scene) -> None:
    """SIGSTOP, for less or more than the bound."""
    worker = scene.some
    os.kill(worker.pid, signal.SIGSTOP)
    scene.pass_time(0.2, 4.0)
    os.kill(worker.pid, signal.SIGCONT)


def fork_process(scene: Scene) -> None:
    """A fork after the listener started; the child reads on."""
    scene.some.tell("fork")


def fork_before_listener(scene: Scene) -> None:
    """A fork while the process has copies and no listener; both start one."""
    scene.some.tell("fork without listener")


def kill_listener(scene: Scene) -> None:
    """The listener's thread dies."""
    scene.some.tell("kill listener")


def no_permission(scene: Scene) -> None:
    """XADD is forbidden, or reading is."""
    rule = scene.chance.choice([["-xadd"], ["-xread"], ["-xinfo"], ["-info"], ["-multi"]])
    scene.admin.execute_command("ACL", "SETUSER", "default", *rule)
    try:
        scene.pass_time(0.3, 1.5)
    finally:
        scene.admin.execute_command("ACL", "SETUSER", "default", "+@all")


def out_of_memory(scene: Scene) -> None:
    """The server takes no more, in a MULTI least of all."""
    scene.admin.config_set("maxmemory", 1)
    scene.pass_time(0.3, 1.5)
    scene.admin.config_set("maxmemory", 0)


def duplicates(scene: Scene) -> None:
    """The last messages again, in another order."""
    with contextlib.suppress(redis.ResponseError):
        for _, fields in scene.admin.xrevrange(STREAM, count=20):
            scene.admin.execute_command(
                "XADD",
                STREAM,
                "NOMKSTREAM",
                "1-*",
                *(part for pair in fields.items() for part in pair),
            )


def mix(scene: Scene) -> None:
    """Messages on their way to all listeners come in another order, twice or late."""
    for worker in scene.workers:
        worker.proxy.mixes = True
    scene.pass_time(1.0, 3.0)
    for worker in scene.workers:
        worker.proxy.mixes = False


def demote(scene: Scene) -> None:
    """The server is a replica for a while, of one that nobody reaches."""
    scene.admin.replicaof(HOST, "1")
    try:
        scene.pass_time(0.2, 2.0)
    finally:
        scene.admin.replicaof("NO", "ONE")


def flood(scene: Scene) -> None:
    """More messages than the stream keeps, while a reader is stopped for less than the bound."""
    worker = scene.some
    os.kill(worker.pid, signal.SIGSTOP)
    with contextlib.suppress(redis.ResponseError), scene.admin.pipeline(transaction=False) as pipe:
        for _ in range(CAPACITY + CAPACITY // 2):
            add = ("XADD", STREAM, "NOMKSTREAM", "MAXLEN", "~", CAPACITY, "1-*", "k", "nobody's")
            pipe.execute_command(*add)
        pipe.execute(raise_on_error=False)
    os.kill(worker.pid, signal.SIGCONT)


FAULTS: dict[str, Callable[[Scene], None]] = {
    fault.__name__: fault
    for fault in (
        reset, silence_to_server, silence_from_server, restart_without_data, restart_with_data,
        flushall, delete_stream, rename_stream, wrong_type, foreign_ids, trim_at_last,
        trim_past_last, trim_to_nothing, evict_stream, stop_process, fork_process,
        fork_before_listener, kill_listener, no_permission, out_of_memory, duplicates, mix, flood,
        demote,
    )
}  # fmt: skip
