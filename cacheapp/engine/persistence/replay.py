"""A file of changes: commands as clients send them, checked and done again.

A file is read to its end before any of it is done. It may end in the middle of a command, or of a
transaction, where the process or the machine was stopped: then it counts up to there. NULs at the
end, which some file systems leave after a power cut, are such an end too. Anything else that is no
command is damage, and the file is refused.

Redis has no checksums here: of single bits turned over, one in ten loads wrong data silently. So
after each command or transaction ours has a line `#CRC:sum:bytes` about so many bytes before it.
Redis skips lines that begin with `#`, and what Redis has written is taken without.

While commands are done again nothing is due: a later one may count on a key whose time has passed
meanwhile. So the engine's clock stands at zero, and what was noted of that time is set right
afterwards.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from cacheapp.engine import registry
from cacheapp.engine.errors import CommandError
from cacheapp.engine.frequency import lfu_start
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.session import Session
from cacheapp.engine.structures.stream import Stream

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine

_CRC_LINE = re.compile(rb"#CRC:([0-9a-f]{8}):([0-9]{1,12})\r\n")
# Commands of so many arguments.
_FORMATS: Final = [b"*%d\r\n" % count + b"$%d\r\n%b\r\n" * count for count in range(17)]
_ARGUMENTS_MAX: Final = 2**31
_TRIMMING: Final = frozenset({b"XADD", b"XTRIM"})
# Access numbers of a clock at zero are below it.
_ACCESS_MAX: Final = 256


class _Truncated(Exception):
    """The file ends here."""


def packed(args: Sequence[bytes]) -> bytes:
    """A command as clients send it."""
    count = len(args)
    if count < len(_FORMATS):
        # One formatting takes a third of the time of one for each argument.
        flat: list[int | bytes] = []
        for arg in args:
            flat += len(arg), arg
        return _FORMATS[count] % tuple(flat)
    parts = [b"*%d\r\n" % count]
    parts += [b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args]
    return b"".join(parts)


def sealed(block: bytes) -> bytes:
    """`block` with the line that says how to verify it."""
    return b"%b#CRC:%08x:%d\r\n" % (block, zlib.crc32(block), len(block))


def parsed(data: bytes) -> tuple[list[list[bytes]], int]:
    """The commands of a file, and where what is complete ends; CorruptPayload.

    Of transactions only the commands in between are returned, once their EXEC is there.
    """
    reader = _Reader(data)
    with contextlib.suppress(_Truncated):
        while reader.place < len(data):
            reader.step()
    return reader.commands, reader.good


class _Reader:
    """Takes a file of changes apart."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = self.good = 0
        self.commands: list[list[bytes]] = []
        # The commands of a transaction whose EXEC is still to come.
        self._queued: list[list[bytes]] | None = None

    def step(self) -> None:
        """Read a command or a line of remarks."""
        if self._data[self.place] == 0x23:
            self._remark()
        else:
            self._command()
        if self._queued is None:
            self.good = self.place

    def _remark(self) -> None:
        start = self.place
        end = self._data.find(b"\n", start)
        if end < 0:
            raise _Truncated
        self.place = end + 1
        found = _CRC_LINE.fullmatch(self._data, start, self.place)
        if found is not None:
            size = int(found[2])
            block = self._data[start - size : start] if size <= start else b""
            if zlib.crc32(block) != int(found[1], 16):
                raise CorruptPayload(f"its {size} bytes before {start} are damaged")

    def _command(self) -> None:
        start = self.place
        count = self._number(b"*")
        if not 1 <= count <= _ARGUMENTS_MAX:
            self._refuse(start)
        args = [self._argument() for _ in range(count)]
        name = args[0].upper()
        if name == b"MULTI" and self._queued is None:
            self._queued = []
        elif name == b"EXEC" and self._queued is not None:
            self.commands += self._queued
            self._queued = None
        elif self._queued is not None:
            self._queued.append(args)
        else:
            self.commands.append(args)

    def _argument(self) -> bytes:
        size = self._number(b"$")
        start, end = self.place, self.place + size
        if end + 2 > len(self._data):
            self._end_or_refuse(len(self._data))
        if self._data[end : end + 2] != b"\r\n":
            self._end_or_refuse(end + (self._data[end] == 0x0D))
        self.place = end + 2
        return self._data[start:end]

    def _number(self, mark: bytes) -> int:
        start = self.place
        end = self._data.find(b"\r\n", start, start + 32)
        line = self._data[start:end] if end >= 0 else self._data[start : start + 32]
        if line[:1] != mark and line:
            self._end_or_refuse(start)
        if end < 0:
            if len(line) < 32 and (line[1:].rstrip(b"\r").isdigit() or line[1:] in (b"", b"\r")):
                raise _Truncated
            self._end_or_refuse(start + len(line.rstrip(b"\0")))
        if not line[1:].isdigit():
            self._refuse(start)
        self.place = end + 2
        return int(line[1:])

    def _end_or_refuse(self, place: int) -> None:
        """The file ends at `place` where nothing but NULs follows, else it is damaged."""
        if self._data.count(0, place) == len(self._data) - place:
            raise _Truncated
        self._refuse(place)

    def _refuse(self, place: int) -> None:
        raise CorruptPayload(f"what stands at byte {place} is no command")


def check(commands: Iterable[Sequence[bytes]]) -> None:
    """Refuse commands that the engine has not; CorruptPayload."""
    for args in commands:
        try:
            registry.lookup(list(args))
        except CommandError as error:
            raise CorruptPayload(f"{error}") from None


def perform(engine: Engine, commands: Iterable[list[bytes]]) -> None:
    """Do `commands` again; nobody is told, and errors are theirs, as they were at first."""
    session = Session(engine, 0, lambda _reply: None, 2)
    session.is_script = True
    now, engine.now = engine.now, 0.0
    listening, engine.propagation = engine.propagation, None
    try:
        for args in commands:
            row = registry.lookup(args)
            with contextlib.suppress(CommandError):
                row.handler(session, *_without_limit(args)[row.skip :])
    finally:
        engine.now, engine.propagation = now, listening
        _set_right(engine, now)


def _without_limit(args: list[bytes]) -> list[bytes]:
    """The command without the LIMIT of a trimming that is exact: it was one of `~`.

    Redis says so in its log, and refuses it to clients.
    """
    if args[0].upper() not in _TRIMMING:
        return args
    place, limit, exact = 2, 0, False
    while place + 1 < len(args):
        word = args[place].upper()
        if word == b"LIMIT":
            limit = place
        elif word in (b"MAXLEN", b"MINID"):
            exact = args[place + 1] == b"="
            place += args[place + 1] in (b"=", b"~")
        elif word == b"NOMKSTREAM":
            place -= 1
        else:
            break
        place += 2
    return args[:limit] + args[limit + 2 :] if limit and exact else args


def _set_right(engine: Engine, now: float) -> None:
    """Let what has been noted at the time zero be of now."""
    fresh = lfu_start(now) if engine.lfu else now
    now_ms = int(now * 1000)
    for database in engine.databases:
        accesses = database.accesses
        for slot, access in enumerate(accesses):
            if access < _ACCESS_MAX:
                accesses[slot] = fresh
        for value in database.values:
            if type(value) is Stream:
                for group in value.groups.values():
                    for consumer in group.consumers.values():
                        consumer.seen_ms = consumer.seen_ms or now_ms
