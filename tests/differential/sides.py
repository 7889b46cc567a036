"""The two servers under comparison, each as a few numbered connections of one protocol.

The engine side is a new Engine for each sequence. The real server is one process; a sequence
begins by emptying it and by resetting its connections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import NO_REPLY
from tests.differential.replies import plain
from tests.differential.wire import Wire
from tests.redis_server import HOST

CONNECTIONS = 3
# The connection that listens to keyspace events, and the one that looks at the final state.
LISTENER = CONNECTIONS
CONTROL = CONNECTIONS + 1

Command = Sequence[bytes]
# Where small encodings end: Redis's own, and so low that short sequences cross them.
LIMITS: dict[bool, list[bytes]] = {
    False: [
        b"CONFIG SET hash-max-listpack-entries 128 hash-max-listpack-value 64",
        b"CONFIG SET set-max-intset-entries 512",
        b"CONFIG SET zset-max-listpack-entries 128 zset-max-listpack-value 64",
        b"CONFIG SET stream-node-max-entries 100 stream-node-max-bytes 4096",
    ],
    True: [
        b"CONFIG SET hash-max-listpack-entries 4 hash-max-listpack-value 8",
        b"CONFIG SET set-max-intset-entries 4",
        b"CONFIG SET zset-max-listpack-entries 4 zset-max-listpack-value 8",
        b"CONFIG SET stream-node-max-entries 3 stream-node-max-bytes 256",
    ],
}
# What CONFIG SET may have changed during a sequence.
DEFAULTS = [
    b"CONFIG SET maxmemory 0 maxmemory-policy noeviction maxmemory-samples 5",
    b"CONFIG SET proto-max-bulk-len 536870912 lua-time-limit 5000 hz 10",
    b"CONFIG SET lfu-log-factor 10 lfu-decay-time 1 active-expire-effort 1",
    b"CONFIG SET hll-sparse-max-bytes 3000",
    # No command is slow, however busy the machine.
    b"CONFIG SET slowlog-max-len 128 slowlog-log-slower-than -1",
    b"SLOWLOG RESET",
]
# One or two keys of each type, so that any command meets the right type and wrong ones.
PRELUDE = [
    b"SET s0 hello",
    b"SET s1 10",
    b"RPUSH l0 a b c b a",
    b"RPUSH l1 x",
    b"HSET h0 a 1 b 2 c x",
    b"HSET h1 f v",
    b"SADD t0 1 2 3",
    b"SADD t1 a b c",
    b"ZADD z0 1 a 2 b 3 c",
    b"ZADD z1 0 a 0 b 0 c 0 d",
    b"XADD x0 1-1 a 1",
    b"XADD x0 1-2 a 2",
    b"XADD x0 2-0 b 3 c 4",
    b"XADD x0 5-0 a 5",
    b"XGROUP CREATE x0 g 0",
    b"XREADGROUP GROUP g c COUNT 2 STREAMS x0 >",
    b"XADD x1 3-3 f v",
    b"XGROUP CREATE x1 g 0",
]


def opening(small_limits: bool, events: bool) -> list[list[bytes]]:
    """The commands on the control connection before a sequence."""
    lines = [
        b"FLUSHALL",
        b"SCRIPT FLUSH",
        b"FUNCTION FLUSH",
        b"ACL DELUSER u1 u2 nobody",
        b"DEBUG SET-ACTIVE-EXPIRE 0",
        *DEFAULTS,
    ]
    lines += [*LIMITS[small_limits], *PRELUDE]
    commands = [line.split() for line in lines]
    flags = b"KEA" if events else b""
    commands.append([b"CONFIG", b"SET", b"notify-keyspace-events", flags])
    return commands


class RedisSide:
    """A running redis-server behind numbered connections."""

    def __init__(self, port: int) -> None:
        self._wires = [Wire(HOST, port) for _ in range(CONNECTIONS + 2)]
        self._marks = 0

    def begin(self, protocol: int, small_limits: bool, events: bool) -> None:
        """Empty the server, reset the connections, and lay out the first keys."""
        hello = [b"HELLO", b"%d" % protocol]
        for wire in self._wires:
            wire.reset(hello)
        self._wires[CONTROL].execute_all(opening(small_limits, events))
        if events:
            self._wires[LISTENER].execute_until([b"PSUBSCRIBE", b"__keyspace@*__:*"], self._mark())

    def _mark(self) -> bytes:
        self._marks += 1
        return b"mark:%d" % self._marks

    def execute(self, connection: int, args: Command) -> Any:
        """The reply of one command that has exactly one."""
        return self._wires[connection].execute(args)

    def ask(self, *args: bytes) -> Any:
        """A command on the control connection."""
        return self._wires[CONTROL].execute(args)

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands on the control connection."""
        return self._wires[CONTROL].execute_all(commands)

    def converse(self, connection: int, args: Command) -> list[list[Any]]:
        """All that each connection received because of one command, the sender's first."""
        others = [number for number in range(CONNECTIONS) if number != connection]
        return [
            self._wires[connection].execute_until(args, self._mark()),
            *(self._wires[number].settle(self._mark()) for number in others),
        ]

    def events(self) -> list[Any]:
        """What the listener has received."""
        return self._wires[LISTENER].settle(self._mark())

    def close(self) -> None:
        """End the connections."""
        for wire in self._wires:
            wire.close()


class EngineSide:
    """A new engine behind numbered sessions."""

    def __init__(self, protocol: int, small_limits: bool, events: bool) -> None:
        self.engine = Engine({"enable-debug-command": "yes"})
        self._inboxes: list[list[Any]] = [[] for _ in range(CONNECTIONS + 2)]
        self._sessions = [
            self.engine.connect(inbox.append, protocol=protocol) for inbox in self._inboxes
        ]
        for args in opening(small_limits, events):
            self.execute(CONTROL, args)
        if events:
            self.execute(LISTENER, [b"PSUBSCRIBE", b"__keyspace@*__:*"])
            self._inboxes[LISTENER].clear()

    def execute(self, connection: int, args: Command) -> Any:
        """The reply of one command, an error as the exception's instance."""
        session = self._sessions[connection]
        try:
            reply = self.engine.execute(session, list(args))
        except CommandError as error:
            return error
        return plain(reply, session.protocol)

    def ask(self, *args: bytes) -> Any:
        """A command on the control session."""
        return self.execute(CONTROL, args)

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands on the control session."""
        return [self.execute(CONTROL, args) for args in commands]

    def converse(self, connection: int, args: Command) -> list[list[Any]]:
        """All that each session received because of one command, the sender's first."""
        reply = self.execute(connection, args)
        frames = [self._drain(connection)]
        if reply is not NO_REPLY:
            frames[0].append(reply)
        frames += [self._drain(number) for number in range(CONNECTIONS) if number != connection]
        return frames

    def events(self) -> list[Any]:
        """What the listener has received."""
        return self._drain(LISTENER)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Without keyspace events: for corrections which Redis knows nothing of."""
        flags, self.engine.event_flags = self.engine.event_flags, frozenset()
        yield
        self.engine.event_flags = flags

    def _drain(self, connection: int) -> list[Any]:
        protocol = self._sessions[connection].protocol
        received = [plain(frame, protocol) for frame in self._inboxes[connection]]
        self._inboxes[connection].clear()
        return received
