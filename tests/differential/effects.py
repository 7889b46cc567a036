"""What both servers send to a replica, for the same random commands.

A sink listens to the engine, and a connection of its own attaches to redis-server as a replica
does, by SYNC. After each command the two streams are compared: commands, their order, their
databases, MULTI and EXEC around them. Times may differ by what the two sides are apart, and the
members that SPOP picked need only be as many.
"""

from __future__ import annotations

import re
import socket
from typing import Any

from cacheapp.engine import propagation
from tests.differential.harness import DATABASES, Comparison, Parted, Sequence, Step
from tests.differential.sides import EngineSide
from tests.differential.wire import TIMEOUT_S

# A database and a command.
Effect = tuple[int, list[bytes]]

# The sides execute a command one after the other.
APART_MS = 20_000
# Now, or the longest time to live of the grammars after it.
_TIME = re.compile(rb"(\d{13}|92233717\d{11})(-\d+)?")
_SHOWN = 12


class Attached:
    """A connection to a server at `host` and `port` that gets its stream of effects.

    `introduction` are packed requests that it sends before, each answered by OK.
    """

    def __init__(self, host: str, port: int, *introduction: bytes) -> None:
        self._socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
        self._file = self._socket.makefile("rb")
        for request in introduction:
            self._socket.sendall(request)
            if (line := self._file.readline()) != b"+OK\r\n":
                raise ConnectionError(f"{request!r} was answered by {line!r}")
        self._socket.sendall(b"SYNC\r\n")
        line = b"\n"
        while line == b"\n":
            line = self._file.readline()
        if not line.startswith(b"$"):
            raise ConnectionError(f"SYNC was answered by {line!r}")
        self.payload = self._file.read(int(line[1:]))
        self.database = 0

    def read(self) -> list[bytes]:
        """The next command."""
        line = self._file.readline()
        if not line.startswith(b"*"):
            raise ConnectionError(f"no command: {line!r}")
        args = []
        for _ in range(int(line[1:])):
            size = int(self._file.readline()[1:])
            args.append(self._file.read(size + 2)[:-2])
        return args

    def until(self, marker: bytes) -> list[Effect]:
        """What comes before a PUBLISH of `marker`."""
        effects: list[Effect] = []
        while True:
            args = self.read()
            if args[0].upper() == b"SELECT":
                self.database = int(args[1])
            elif args[0].upper() == b"PUBLISH" and args[-1] == marker:
                return effects
            elif args[0].upper() != b"PING":
                effects.append((self.database, args))

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._socket.close()


class Kept:
    """A sink of the engine that keeps what it is fed."""

    kind = propagation.TO_REPLICAS

    def __init__(self) -> None:
        self.effects: list[Effect] = []

    def feed(self, db_index: int, args: list[bytes]) -> None:
        """Keep a command."""
        self.effects.append((db_index, args))

    def settle(self) -> None:
        """Nothing is held back."""


class EffectComparison:
    """Runs sequences on both sides and compares what they send."""

    def __init__(self, comparison: Comparison, attached: Attached) -> None:
        self.comparison = comparison
        self.compared = comparison.compared
        self.lost = ""
        self.effects = 0
        self._attached = attached
        self._marks = 0

    def run(self, sequence: Sequence, *, pushes: bool = False) -> None:
        """Execute `sequence` on both sides; raises Parted at the first difference.

        `pushes` has no meaning here.
        """
        redis = self.comparison.redis
        redis.begin(sequence.protocol, sequence.small_limits, False)
        engine = EngineSide(sequence.protocol, sequence.small_limits, False)
        self._theirs()
        sink = Kept()
        propagation.listen(engine.engine, sink)
        done: list[Step] = []
        for step in sequence.steps:
            done.append(step)
            self.compared[step.args[0].decode("latin-1").upper()] += 1
            expected = redis.execute(step.connection, step.args)
            actual = engine.execute(step.connection, step.args)
            theirs, ours, sink.effects = self._theirs(), sink.effects, []
            popped = step.args[0].upper() == b"SPOP"
            if not _agree(theirs, ours, popped=popped):
                lines = "".join(f"\n  {each!r}" for each in done[-_SHOWN:])
                raise Parted(f"{lines}\n  redis sends  {theirs!r}\n  engine sends {ours!r}")
            self.effects += len(theirs)
            if popped and isinstance(expected, (bytes, list)) and expected != actual:
                key = step.args[1]
                lists = [each if isinstance(each, list) else [each] for each in (actual, expected)]
                engine.execute(step.connection, [b"SADD", key, *lists[0]])
                engine.execute(step.connection, [b"SREM", key, *lists[1]])
                sink.effects = []
        for number in DATABASES:
            redis.ask(b"SELECT", number)

    def _theirs(self) -> list[Effect]:
        self._marks += 1
        marker = b"mark:%d" % self._marks
        self.comparison.redis.ask(b"PUBLISH", b"marks", marker)
        return self._attached.until(marker)


def _agree(theirs: list[Effect], ours: list[Effect], *, popped: bool) -> bool:
    if len(theirs) != len(ours):
        return False
    return all(
        one[0] == other[0] and _same(one[1], other[1], popped=popped)
        for one, other in zip(theirs, ours, strict=True)
    )


def _same(expected: list[bytes], actual: list[bytes], *, popped: bool) -> bool:
    if popped and expected[0] == b"SREM":
        return expected[:2] == actual[:2] and len(actual) == 3
    return len(expected) == len(actual) and all(map(_close, expected, actual))


def _close(expected: bytes, actual: Any) -> bool:
    """Whether two arguments are equal, or times that are near each other."""
    if expected == actual:
        return True
    one, other = _TIME.fullmatch(expected), _TIME.fullmatch(actual)
    return bool(one and other and abs(int(one[1]) - int(other[1])) < APART_MS)
