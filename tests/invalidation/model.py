"""The protocol of near caches against a model of everything around it, over random schedules.

`python -m tests.invalidation.model --schedules 1000000` (`make model`). The near cache and the
follower are the real ones; the server, its stream, the links, writers and clocks are a few dicts,
and each step of each actor is one action of a seeded schedule, so that whatever can come between
two steps sometimes does. Two things are checked: no read returns a value that the server had not
had for longer than the bound, and after everything has calmed down no copy differs from the
server.

Left out on purpose: whoever takes a stream away and puts it back while a writer dies between its
write and its mending; docs/nearcache.md names that hole.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cacheapp.cache.nearcache import NearCache
from cacheapp.invalidation.protocol import (
    HELLO,
    Follower,
    Message,
    Stamp,
    keys_message,
    prefix_message,
)

NAMES = (b"a", b"b", b"c")
BOUND = 10.0
STEPS = 60
READERS = 2
#: A link slower than this is what a socket timeout ends.
PATIENCE = 4.0


class StaleError(AssertionError):
    """The promise was broken."""


@dataclass
class Stream:
    """A good stream: its entries that were not trimmed, and the last number given."""

    top: int
    entries: list[tuple[int, Message]] = field(default_factory=list)

    def add(self, message: Message) -> None:
        """XADD … 1-*."""
        self.top += 1
        self.entries.append((self.top, message))

    def copied(self) -> Stream:
        """The stream as a file on disk has it."""
        return Stream(self.top, list(self.entries))


class Server:
    """What the keys hold (a version each, higher is newer), the stream, and the oracle."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 0.0
        self.values: dict[bytes, int] = {}
        self.versions = 0
        self.left_at: dict[tuple[bytes, int], float] = {}
        self.stream: Stream | None = None  # None: missing, of another type, or with foreign ids
        self.aside: Stream | None = None
        self.epoch: bytes | None = None
        self.run_id = self.history = 1
        self.saved: tuple[dict[bytes, int], Stream | None, bytes | None] = ({}, None, None)

    def put(self, name: bytes, value: int | None) -> None:
        """Change a key, and remember when the old value went."""
        old = self.values.pop(name, None)
        if old is not None:
            self.left_at[name, old] = self.now
        if value is not None:
            self.values[name] = value
            self.left_at.pop((name, value), None)

    def new_stream(self, message: Message) -> None:
        """What a writer or a listener does about a stream that is no good."""
        self.epoch = b"%d" % self.rng.getrandbits(32)
        # As likely above what others remember as below it, and never near: 2**62 in the real one.
        self.stream = Stream(self.rng.randrange(2**40))
        self.stream.add(message)

    def mend(self, message: Message) -> None:
        """What a writer does whose message failed; somebody else may have made a stream since.

        Where the stream was missing it adds under a new first number, which to a stream that is
        there by now is a jump, or too small.
        """
        if self.stream is None or self.rng.random() < 0.4:
            self.new_stream(message)
            return
        self.epoch = b"%d" % self.rng.getrandbits(32)
        number = self.rng.randrange(2**40)
        if number > self.stream.top:
            self.stream.top = number
            self.stream.entries.append((number, message))

    def restore(self, saved: tuple[dict[bytes, int], Stream | None, bytes | None]) -> None:
        """Have what was saved, or nothing."""
        values, stream, self.epoch = saved
        for name in NAMES:
            self.put(name, values.get(name))
        self.stream = None if stream is None else stream.copied()
        self.aside = None

    def restart(self, saved: tuple[dict[bytes, int], Stream | None, bytes | None]) -> None:
        """The process ended, and another began with what was saved, or with nothing."""
        self.restore(saved)
        self.run_id += 1

    def fail_over(self) -> None:
        """It was a replica for a while, and has what was saved and then written elsewhere.

        The process and its links are the same. What was written elsewhere was announced there, so
        its numbers are those of messages here, and nobody here has heard of it.
        """
        values, stream, epoch = self.saved
        ahead = 0 if self.stream is None or stream is None else self.stream.top - stream.top
        if not 0 <= ahead <= STEPS:
            ahead = 0  # another stream
        self.restore((values, stream, epoch))
        self.history += 1
        for _ in range(ahead):
            self.versions += 1
            name = NAMES[int(self.rng.random() * 3)]
            self.put(name, self.versions)
            if self.stream is not None:
                self.stream.add(keys_message((name,)))

    def stamp(self, epoch: bytes | None) -> Stamp:
        """What a heartbeat is told that has asked for the epoch a moment ago."""
        top = None if self.stream is None else self.stream.top
        return Stamp(top, b"%b %d" % (epoch or b"", self.history))


class Writer:
    """One write at a time: its MULTI, and where the message failed the mending, or a crash."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.mending: Message | None = None

    def step(self) -> None:
        """The next of its steps."""
        server = self.server
        if self.mending is not None:
            message, self.mending = self.mending, None
            if server.aside is not None or server.rng.random() < 0.9:
                server.mend(message)
            return
        kind = server.rng.random()
        if kind < 0.8:
            names: Sequence[bytes] = (NAMES[int(server.rng.random() * 3)],)
            message = keys_message(names)
        elif kind < 0.9:
            names = NAMES[:2]
            message = keys_message(names)
        else:
            names, message = NAMES, prefix_message(b"")
        for name in names:
            server.versions += 1
            deletes = server.rng.random() < 0.1
            server.put(name, None if deletes else server.versions)
        if server.stream is None:
            self.mending = message
        else:
            server.stream.add(message)


class Reader:
    """A process: its near cache, a fill under way, and its listener with a link."""

    def __init__(self, server: Server, make: Callable[..., Any], cache: Callable[..., Any]) -> None:
        self.server = server
        self.near = cache(max_bytes=10**6, max_entries=100, ttl_s=None, clock=self.clock)
        self.interruptions = 0
        self.follower = make(self.near, BOUND)
        self.fill: tuple[bytes, Any, int | None, bool] | None = None
        self.connected = False
        self.request: tuple[str, float] | None = None
        self.epoch: tuple[bytes | None] | None = None
        self.reply: Any = None

    def clock(self) -> float:
        """The time. Looking at it in a read, the thread may have to let the listener's go on."""
        while self.interruptions:
            self.interruptions -= 1
            self.listen()
        return self.server.now

    def read(self) -> None:
        """Look at a copy and check its age; where there is none begin a fill."""
        name = NAMES[int(self.server.rng.random() * 3)]
        if self.server.rng.random() < 0.1:
            self.interruptions = int(self.server.rng.random() * 9)
        raw = self.near.peek(name)
        self.interruptions = 0
        if raw is not None:
            self.check(name, int(raw))
        elif self.fill is None and self.near.is_good:
            self.fill = (name, self.near.begin(name), None, False)

    def check(self, name: bytes, version: int) -> None:
        """Compare with the oracle."""
        left_at = self.server.left_at.get((name, version))
        if left_at is not None and self.server.now - left_at > BOUND:
            raise StaleError(f"{name!r} was {self.server.now - left_at:.1f} too old")

    def fill_on(self) -> None:
        """The server answers a fill, or its answer arrives."""
        if self.fill is None:
            return
        name, mark, value, answered = self.fill
        if not answered:
            self.fill = (name, mark, self.server.values.get(name), True)
        else:
            raw = None if value is None else b"%d" % value
            self.near.keep(name, mark, raw, -2 if raw is None else -1)
            self.fill = None

    def listen(self) -> None:
        """The next step of the listener: connect, ask, be answered, or take the answer."""
        if not self.connected:
            self.connected = True
            self.follower.connected(self.server.run_id)
            self.request = self.reply = None
        elif self.request is None:
            beats = self.follower.last is None or self.server.rng.random() < 0.4
            wanted = "beat" if beats and not self.follower.needs_messages else "read"
            self.request, self.epoch = (wanted, self.server.now), None
        elif self.server.now - self.request[1] > PATIENCE:
            self.connected = False
        elif self.reply is None:
            self.answer()
        else:
            self.take()

    def answer(self) -> None:
        """What happens on the server."""
        assert self.request is not None
        if self.request[0] == "beat":
            if self.epoch is None:
                self.epoch = (self.server.epoch,)
            else:
                self.reply = self.server.stamp(*self.epoch)
        else:
            self.reply = self.entries()

    def entries(self) -> list[tuple[bytes, Message]]:
        """XREAD's reply; COUNT is small here."""
        stream, last = self.server.stream, self.follower.last
        if stream is None or last is None:
            return []
        found = [(b"1-%d" % number, message) for number, message in stream.entries if number > last]
        return found[:2]

    def take(self) -> None:
        """What the listener makes of the reply."""
        assert self.request is not None
        (kind, asked_at), reply = self.request, self.reply
        self.request = self.reply = None
        if kind == "beat":
            self.follower.beat(asked_at, reply)
            if self.follower.needs_stream:
                self.server.new_stream((HELLO, b""))
        elif self.follower.last is not None:
            chance = self.server.rng.random()
            if chance < 0.1:
                reply = reply + reply[:1]  # a duplicate
            elif chance < 0.15:
                reply = reply[::-1]
            elif chance < 0.2:
                reply = reply[1:]  # the first comes later
            self.follower.hear(reply)
            if not reply:
                self.follower.heard_all()

    def catch_up(self) -> None:
        """All that a listener does until nothing is left to do."""
        self.connected = True
        self.follower.connected(self.server.run_id)
        for _ in range(3):
            self.request, self.epoch = ("beat", self.server.now), None
            self.answer()
            self.answer()
            self.take()
            while self.follower.needs_messages:
                self.request, self.reply = ("read", self.server.now), None
                self.answer()
                self.take()

    def cut(self) -> None:
        """The link is reset; what was on it is gone."""
        self.connected = False

    def restart_listener(self, make: Callable[..., Any]) -> None:
        """The thread died and a new one begins, or the process came back from a long stop."""
        self.follower = make(self.near, BOUND)
        self.connected = False


class World:
    """One schedule."""

    def __init__(
        self,
        seed: int,
        make: Callable[..., Any] = Follower,
        cache: Callable[..., Any] = NearCache,
    ) -> None:
        self.rng = random.Random(seed)
        self.make = make
        self.server = Server(self.rng)
        self.writers = [Writer(self.server) for _ in range(2)]
        self.readers = [Reader(self.server, make, cache) for _ in range(READERS)]

    def run(self) -> None:
        """Run the schedule. Raises StaleError."""
        rng = self.rng
        self.server.new_stream((HELLO, b""))
        for reader in self.readers:
            for _ in range(4):
                reader.listen()
        for _ in range(STEPS):
            self.server.now += rng.random() * 0.6
            choice = rng.random()
            reader = self.readers[int(rng.random() * READERS)]
            if choice < 0.36:
                reader.listen()
            elif choice < 0.58:
                reader.read()
            elif choice < 0.72:
                reader.fill_on()
            elif choice < 0.88:
                self.writers[int(rng.random() * 2)].step()
            else:
                self.fault(reader)
        self.calm_down()

    def fault(self, reader: Reader) -> None:
        """One of the things that go wrong."""
        kind = int(self.rng.random() * 13)
        if kind == 0:
            reader.cut()
        elif kind == 1:
            reader.restart_listener(self.make)
        elif kind == 2:
            self.server.now += self.rng.random() * 2 * BOUND
        elif kind < 8:
            self.server_changes(kind - 3)
        else:
            self.stream_changes(kind - 8)

    def server_changes(self, kind: int) -> None:
        """The server restarts, is another one, is saved, or loses everything."""
        server = self.server
        if kind == 0:
            for name in NAMES:
                server.put(name, None)
            server.stream = server.aside = server.epoch = None
        elif kind == 1:
            self.disconnect_all()
            server.restart(({}, None, None))
        elif kind == 2:
            self.disconnect_all()
            server.restart(server.saved)
        elif kind == 3:
            stream = None if server.stream is None else server.stream.copied()
            server.saved = (dict(server.values), stream, server.epoch)
        else:
            for writer in self.writers:
                writer.mending = None
            server.fail_over()

    def stream_changes(self, kind: int) -> None:
        """Somebody deletes, renames, trims or mutilates the stream."""
        server, stream = self.server, self.server.stream
        if kind == 3 and server.aside is not None:
            if not any(writer.mending for writer in self.writers):
                server.stream, server.aside = server.aside, None
        elif stream is None:
            return
        elif kind == 0:
            keep = int(self.rng.random() * 3)
            stream.entries = stream.entries[-keep:] if keep else []
        elif kind == 1:
            server.stream = None
        elif kind == 2:
            server.aside, server.stream = stream, None
        elif stream.entries:
            stream.entries.pop(int(self.rng.random() * len(stream.entries)))

    def disconnect_all(self) -> None:
        """What a restart does to every link, to what is on it and to writers that wait."""
        for reader in self.readers:
            reader.cut()
            reader.fill = None
        for writer in self.writers:
            writer.mending = None

    def calm_down(self) -> None:
        """Let everybody finish and every listener catch up; then compare the copies."""
        for writer in self.writers:
            while writer.mending is not None:
                writer.step()
        for reader in self.readers:
            while reader.fill is not None:
                reader.fill_on()
            reader.catch_up()
        for reader in self.readers:
            # Twice, since another reader may have made a new stream.
            reader.catch_up()
            if not reader.near.is_good:
                raise StaleError("a listener does not come back")
            for name in NAMES:
                raw = reader.near.peek(name)
                if raw is not None and self.server.values.get(name) != int(raw):
                    raise StaleError(f"{name!r} is stale for ever")


def explore(
    seeds: range, make: Callable[..., Any] = Follower, cache: Callable[..., Any] = NearCache
) -> tuple[int, str] | None:
    """Run a schedule for each seed; the first that breaks the promise, and how, or None."""
    for seed in seeds:
        try:
            World(seed, make, cache).run()
        except StaleError as error:
            return seed, str(error)
    return None


def main() -> int:
    """Explore on all processors; 1 where a schedule broke the promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.invalidation.model")
    parser.add_argument("--schedules", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    size = 2000
    last = options.first + options.schedules
    parts = [range(at, min(at + size, last)) for at in range(options.first, last, size)]
    began = time.monotonic()
    with multiprocessing.Pool() as pool:
        for number, found in enumerate(pool.imap_unordered(explore, parts), 1):
            if found is not None:
                print(f"seed {found[0]}: {found[1]}")
                pool.terminate()
                return 1
            if number % 50 == 0:
                print(f"{number * size:,} schedules", file=sys.stderr, flush=True)
    print(
        f"{options.schedules:,} schedules of {STEPS} steps in {time.monotonic() - began:.0f} s: "
        "no copy stale for ever, none older than the bound"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
