"""Runs a sequence on both sides and says where they part.

A sequence is drawn by Hypothesis from a group's grammar. After each command the replies are
compared, after the last one every key: type, encoding, value, deadline, and that each side
restores what the other dumps; and, in half of the sequences, the keyspace events that a third
client saw. `Parted` carries the transcript.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cacheapp.engine.errors import CommandError
from tests.differential.replies import agree, same, same_frames
from tests.differential.sides import EngineSide, RedisSide

# Those that grammars move keys to.
DATABASES = (b"1", b"0")
SCANS = {b"SCAN": 1, b"SSCAN": 2, b"HSCAN": 2, b"ZSCAN": 2}
# Encodings that have an order, which replies show.
PACKED = (b"listpack", b"intset")
# Where values of the other side are restored.
CROSSED = b"crossed"
# A scan that does not end after so many calls is a failure of its own.
SCAN_CALLS_MAX = 10_000
# The sides run one after the other, by the same clock; what a busy machine held up for longer
# than the tolerance of the rules proves nothing, and is run again.
HELD_UP_S = 1.0
RUNS_MAX = 5

READERS = {
    b"string": lambda key: [b"GET", key],
    b"list": lambda key: [b"LRANGE", key, b"0", b"-1"],
    b"hash": lambda key: [b"HGETALL", key],
    b"set": lambda key: [b"SMEMBERS", key],
    b"zset": lambda key: [b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"],
    b"stream": lambda key: [b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"],
}


@dataclass(frozen=True)
class Step:
    """One command on one of the numbered connections."""

    args: tuple[bytes, ...]
    connection: int = 0

    def __repr__(self) -> str:
        shown = " ".join(_quoted(arg) for arg in self.args)
        return f"{self.connection}> {shown}"


def _quoted(arg: bytes) -> str:
    text = arg.decode("latin-1")
    return text if text.isascii() and text.isprintable() and text and " " not in text else repr(arg)


@dataclass(frozen=True)
class Sequence:
    """What Hypothesis draws: commands and the circumstances that they run in."""

    steps: list[Step]
    protocol: int = 2
    small_limits: bool = False
    events: bool = False

    def __repr__(self) -> str:
        lines = "".join(f"\n  {step!r}" for step in self.steps)
        return f"RESP{self.protocol} small_limits={self.small_limits} events={self.events}{lines}"


class Parted(AssertionError):
    """The engine and Redis do not agree."""


@dataclass
class Comparison:
    """Both sides, and a count of the commands that were compared."""

    redis: RedisSide
    compared: Counter[str] = field(default_factory=Counter)
    lost: str = ""

    def run(self, sequence: Sequence, *, pushes: bool = False) -> None:
        """Execute `sequence` on both sides; raises Parted at the first difference.

        With `pushes`, what the other connections receive is compared after each command.
        """
        for run in range(1, RUNS_MAX + 1):
            began = time.monotonic()
            try:
                self._run(sequence, pushes)
            except Parted:
                if time.monotonic() - began < HELD_UP_S or run == RUNS_MAX:
                    raise
            else:
                return

    def _run(self, sequence: Sequence, pushes: bool) -> None:
        if self.lost:
            raise ConnectionError(self.lost)
        self.redis.begin(sequence.protocol, sequence.small_limits, sequence.events)
        engine = EngineSide(sequence.protocol, sequence.small_limits, sequence.events)
        done: list[Step] = []
        for step in sequence.steps:
            name = step.args[0].decode("latin-1").upper()
            done.append(step)
            self.compared[name] += 1
            if pushes:
                expected: Any = self.redis.converse(step.connection, step.args)
                actual: Any = engine.converse(step.connection, step.args)
                equal = same_frames(expected, actual)
            else:
                expected = self._execute(step)
                actual = engine.execute(step.connection, step.args)
                equal = self._agree(engine, step, expected, actual)
            if not equal:
                raise Parted(_transcript(sequence, done, expected, actual))
        # First the events: to look at a key that is due makes another one.
        events = _heard(self.redis), _heard(engine)
        if same(*events):
            difference = self._final(engine)
        else:
            difference = ("keyspace events", *_first_difference(*events))
        if difference is not None:
            what, expected, actual = difference
            raise Parted(f"{what} after:{_transcript(sequence, done, expected, actual)}")

    def _execute(self, step: Step) -> Any:
        """The reply of Redis. Where it gives none there is nothing to compare with any more."""
        if step.args[0].upper() in (b"SORT", b"SORT_RO"):
            # 7.0 looks at an errno that an earlier command may have left; this resets it.
            self.redis.ask(b"SCAN", b"x")
        try:
            return self.redis.execute(step.connection, step.args)
        except OSError as error:
            self.lost = f"redis-server did not answer {step!r}: {error}"
            raise ConnectionError(self.lost) from error

    def _agree(self, engine: EngineSide, step: Step, expected: Any, actual: Any) -> bool:
        args = step.args
        name = args[0].upper()
        if isinstance(expected, CommandError) or isinstance(actual, CommandError):
            return same(expected, actual)
        if name == b"SPOP":
            return self._popped(engine, step, expected, actual)
        if name in SCANS and isinstance(expected, list):
            return self._scanned(engine, step, expected, actual)
        return agree(self.redis.ask, args, expected, actual)

    def _popped(self, engine: EngineSide, step: Step, expected: Any, actual: Any) -> bool:
        """As many as Redis took, and members; then the engine is made to hold what Redis does."""
        if type(expected) is not type(actual):
            return False
        if expected is None:
            return True
        key = step.args[1]
        theirs = list(expected) if isinstance(expected, list) else [expected]
        ours = list(actual) if isinstance(actual, list) else [actual]
        if len(theirs) != len(ours):
            return False
        if sorted(theirs) == sorted(ours):
            return True
        with engine.unheard():
            engine.execute(step.connection, [b"SADD", key, *ours])
            removed = engine.execute(step.connection, [b"SREM", key, *theirs])
        return bool(removed == len(theirs))

    def _scanned(self, engine: EngineSide, step: Step, expected: Any, actual: Any) -> bool:
        """Go on with both scans to their ends: the same elements in all.

        Small encodings answer at once and in their order. Cursors are each server's own, so one
        that is made up may lead anywhere.
        """
        name, place = step.args[0].upper(), SCANS[step.args[0].upper()]
        if same(expected, actual):
            return True
        if step.args[place] != b"0":
            return type(expected) is type(actual)
        if name != b"SCAN" and self.redis.ask(b"OBJECT", b"ENCODING", step.args[1]) in PACKED:
            return False
        whole = _scan_all(self.redis.execute, step, expected)
        return whole is not None and whole == _scan_all(engine.execute, step, actual)

    def _final(self, engine: EngineSide) -> tuple[str, Any, Any] | None:
        """Compare every key of the databases that the grammars use; what differs, or None."""
        for number in DATABASES:
            sides = (self.redis, engine)
            for side in sides:
                side.ask(b"SELECT", number)
            theirs, ours = (sorted(side.ask(b"KEYS", b"*")) for side in sides)
            if theirs != ours:
                return f"keys of database {number.decode()}", theirs, ours
            difference = self._values(engine, theirs) if theirs else None
            if difference is not None:
                return difference
        return None

    def _values(self, engine: EngineSide, keys: list[bytes]) -> tuple[str, Any, Any] | None:
        """Compare type, encoding, deadline and value of `keys` in the selected database."""
        types = self.redis.ask_all([[b"TYPE", key] for key in keys])
        questions = [[b"TYPE", key] for key in keys]
        questions += [[b"OBJECT", b"ENCODING", key] for key in keys]
        questions += [[b"PEXPIRETIME", key] for key in keys]
        questions += [READERS[kind](key) for key, kind in zip(keys, types, strict=True)]
        answers = zip(
            questions, self.redis.ask_all(questions), engine.ask_all(questions), strict=True
        )
        for question, expected, actual in answers:
            if not agree(self.redis.ask, question, expected, actual):
                return repr(Step(tuple(question))), expected, actual
        return self._crossed(engine, keys)

    def _crossed(self, engine: EngineSide, keys: list[bytes]) -> tuple[str, Any, Any] | None:
        """Restore on each side what the other dumps of `keys`; the digests have to be equal."""
        dumping = [[b"DUMP", key] for key in keys]
        theirs, ours = self.redis.ask_all(dumping), engine.ask_all(dumping)
        for key, their, our in zip(keys, theirs, ours, strict=True):
            digests = []
            for side, payload in ((self.redis, their), (self.redis, our), (engine, their)):
                answer = side.ask(b"RESTORE", CROSSED, b"0", payload, b"REPLACE")
                digests.append((answer, side.ask(b"DEBUG", b"DIGEST-VALUE", CROSSED)))
                side.ask(b"DEL", CROSSED)
            if digests[1:] != digests[:1] * 2:
                return f"DUMP {key!r}", (their, digests[0]), (our, *digests[1:])
        return None


def _heard(side: RedisSide | EngineSide) -> list[Any]:
    """Keyspace events, but for `expired`: when a due key is noticed is nobody's promise."""
    return [event for event in side.events() if event[-1] != b"expired"]


def _scan_all(execute: Any, step: Step, reply: Any) -> list[Any] | None:
    """The elements of a whole scan, sorted, each once; None if it does not end."""
    place = SCANS[step.args[0].upper()]
    found: set[Any] = set()
    for _ in range(SCAN_CALLS_MAX):
        items = reply[1]
        if step.args[0].upper() in (b"HSCAN", b"ZSCAN"):
            found.update(zip(items[::2], items[1::2], strict=True))
        else:
            found.update(items)
        if reply[0] == b"0":
            return sorted(found)
        args = list(step.args)
        args[place] = reply[0]
        reply = execute(step.connection, args)
    return None


def _first_difference(expected: list[Any], actual: list[Any]) -> tuple[Any, Any]:
    for place in range(max(len(expected), len(actual))):
        one, other = expected[place : place + 1], actual[place : place + 1]
        if not same(one, other):
            return [place, *one], [place, *other]
    return expected, actual


def _transcript(sequence: Sequence, done: list[Step], expected: Any, actual: Any) -> str:
    lines = "".join(f"\n  {step!r}" for step in done)
    return (
        f"\nRESP{sequence.protocol} small_limits={sequence.small_limits}"
        f" events={sequence.events}{lines}\n  redis:  {_shown(expected)}"
        f"\n  engine: {_shown(actual)}"
    )


def _shown(reply: Any) -> str:
    return f"{type(reply).__name__} {reply!r}"[:1000]
