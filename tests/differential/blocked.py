"""Clients that wait beside clients that write, the same on both servers: who gets what, and when.

A step is one client's command, transaction or script. It runs on the engine first, which says at
once who waits and who was answered; then Redis must come to the same. It gets the time that it
needs: CLIENT LIST says when somebody waits, and an answered PING that nothing more comes. The
sequences are drawn from a seed and are not shrunk.

Left out on purpose: timeouts (contract tests have them), and SWAPDB, after which Redis serves
several keys in the order of a hash table.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import BLOCKED
from tests.differential.replies import plain, same
from tests.differential.wire import Wire, pack
from tests.redis_server import HOST

# The last client never waits, so that somebody can always go on.
CLIENTS = 4
# What a server may take for one step.
PATIENCE_S = 5.0
EVENTS = b"__keyspace@*__:*"
READERS = {b"list": [b"LRANGE", b"0", b"-1"], b"zset": [b"ZRANGE", b"0", b"-1", b"WITHSCORES"]}

Command = list[bytes]
Step = tuple[int, list[Command]]


class Parted(AssertionError):
    """The engine and Redis do not agree."""


class EngineClients:
    """A new engine with some clients of one protocol, and one that hears keyspace events."""

    def __init__(self, protocol: int) -> None:
        self.engine = Engine({"notify-keyspace-events": "AKE"})
        self.protocol = protocol
        self.inboxes: list[list[Any]] = [[] for _ in range(CLIENTS + 1)]
        self.sessions = [self.engine.connect(inbox.append, protocol) for inbox in self.inboxes]
        self.engine.execute(self.sessions[CLIENTS], [b"PSUBSCRIBE", EVENTS])
        self.inboxes[CLIENTS].clear()

    def run(self, client: int, commands: list[Command]) -> None:
        """Execute `commands`; what is answered is in the inboxes."""
        for args in commands:
            try:
                reply = self.engine.execute(self.sessions[client], args)
            except CommandError as error:
                reply = error
            if reply is not BLOCKED:
                self.inboxes[client].append(reply)

    def waiting(self) -> list[int]:
        """The clients that wait."""
        waiters = self.engine.waiters.by_session
        return [client for client in range(CLIENTS) if self.sessions[client] in waiters]

    def take(self, client: int) -> list[Any]:
        """What `client` received since the last call, as from a wire."""
        received = [plain(frame, self.protocol) for frame in self.inboxes[client]]
        self.inboxes[client].clear()
        return received


class Line(Wire):
    """A connection that can send without waiting for the answer."""

    def send(self, commands: list[Command]) -> None:
        """Send `commands` at once."""
        self._socket.sendall(b"".join(map(pack, commands)))


class RedisClients:
    """The same clients of a running redis-server, which is emptied first."""

    def __init__(self, port: int, protocol: int) -> None:
        self._marks = 0
        self.control = Wire(HOST, port)
        for line in (b"FLUSHALL", b"SCRIPT FLUSH", b"CONFIG SET notify-keyspace-events AKE"):
            self.control.execute(line.split())
        self.wires = [Line(HOST, port) for _ in range(CLIENTS + 1)]
        for wire in self.wires:
            wire.execute([b"HELLO", b"%d" % protocol])
        self.ids = [wire.execute([b"CLIENT", b"ID"]) for wire in self.wires]
        self.wires[CLIENTS].execute([b"PSUBSCRIBE", EVENTS])

    def run(self, client: int, commands: list[Command]) -> None:
        """Send `commands`."""
        self.wires[client].send(commands)

    def waiting(self) -> list[int]:
        """The clients that wait."""
        lines = self.control.execute([b"CLIENT", b"LIST"]).decode().splitlines()
        fields = [dict(field.partition("=")[::2] for field in line.split(" ")) for line in lines]
        blocked = {int(field["id"]) for field in fields if "b" in field["flags"]}
        return [client for client in range(CLIENTS) if self.ids[client] in blocked]

    def take(self, client: int) -> list[Any]:
        """What `client`, who does not wait, received since the last call."""
        self._marks += 1
        return self.wires[client].settle(b"mark:%d" % self._marks)

    def close(self) -> None:
        """End the connections, with whatever they wait for."""
        for wire in (*self.wires, self.control):
            wire.close()


def compare(port: int, steps: list[Step], protocol: int) -> int:
    """Run `steps` on both sides; how often somebody waited. Raises Parted."""
    engine, redis = EngineClients(protocol), RedisClients(port, protocol)
    done: list[Step] = []
    waits = 0
    try:
        for client, commands in steps:
            before = engine.waiting()
            if client in before:
                continue
            done.append((client, commands))
            engine.run(client, commands)
            redis.run(client, commands)
            _agree(engine, redis, done)
            waits += len(engine.waiting()) > len(before)
        for client in engine.waiting():
            engine.run(CLIENTS - 1, [_unblock(engine.sessions[client].id)])
            redis.run(CLIENTS - 1, [_unblock(redis.ids[client])])
            done.append((CLIENTS - 1, [_unblock(client)]))
            _agree(engine, redis, done)
        _same_state(engine, redis, done)
    finally:
        redis.close()
    return waits


def _unblock(number: int) -> Command:
    return [b"CLIENT", b"UNBLOCK", b"%d" % number]


def _agree(engine: EngineClients, redis: RedisClients, done: list[Step]) -> None:
    """Compare who waits, and what everybody received; who waits has received nothing."""
    client = done[-1][0]
    waiting = engine.waiting()
    actual = {}
    end = time.monotonic() + PATIENCE_S
    if client in waiting:
        while client not in redis.waiting() and time.monotonic() < end:
            pass
    else:
        actual[client] = redis.take(client)
    if redis.waiting() != waiting:
        raise Parted(_transcript(done, "who waits", redis.waiting(), waiting))
    for other in range(CLIENTS + 1):
        if other not in waiting:
            ours = engine.take(other)
            theirs = actual[other] if other in actual else redis.take(other)
            if not same(theirs, ours):
                raise Parted(_transcript(done, f"client {other}", theirs, ours))


def _same_state(engine: EngineClients, redis: RedisClients, done: list[Step]) -> None:
    keys = sorted(redis.control.execute([b"KEYS", b"*"]))
    for args in ([b"DBSIZE"], *([b"TYPE", key] for key in keys)):
        _same_reply(engine, redis, args, done)
    for key in keys:
        kind = redis.control.execute([b"TYPE", key])
        if kind in READERS:
            name, *options = READERS[kind]
            _same_reply(engine, redis, [name, key, *options], done)


def _same_reply(
    engine: EngineClients, redis: RedisClients, args: Command, done: list[Step]
) -> None:
    theirs = redis.wires[0].execute(args)
    engine.run(0, [args])
    (ours,) = engine.take(0)
    if not same(theirs, ours):
        raise Parted(_transcript(done, repr(args), theirs, ours))


def _transcript(done: list[Step], what: str, theirs: Any, ours: Any) -> str:
    lines = [
        f"  {client}> " + " | ".join(b" ".join(args).decode("latin-1") for args in commands)
        for client, commands in done
    ]
    return "\n".join([f"{what} after:", *lines, f"  redis:  {theirs!r}", f"  engine: {ours!r}"])


class Draw:
    """Steps at random: few keys, so that clients meet, and no element twice."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._number = 0

    def steps(self, count: int) -> list[Step]:
        """That many steps, by clients who may not be free when their turn comes."""
        return [self._step() for _ in range(count)]

    def _step(self) -> Step:
        client = self._random.randrange(CLIENTS)
        kind = self._random.random()
        if kind < 0.45 and client < CLIENTS - 1:
            return client, [self._waiting()]
        if kind < 0.85:
            return client, [self._writing()]
        if kind < 0.95:
            inner = [self._inside() for _ in range(self._random.randint(2, 5))]
            return client, [[b"MULTI"], *inner, [b"EXEC"]]
        return client, [self._script()]

    def _key(self) -> bytes:
        return self._random.choice((b"a", b"b", b"c"))

    def _keys(self) -> list[bytes]:
        return [self._key() for _ in range(self._random.randint(1, 3))]

    def _end(self) -> bytes:
        return self._random.choice((b"LEFT", b"RIGHT"))

    def _new(self) -> bytes:
        self._number += 1
        return b"%d" % self._number

    def _pick(self, *choices: Callable[[], Command]) -> Command:
        return self._random.choice(choices)()

    def _inside(self) -> Command:
        return self._waiting() if self._random.random() < 0.2 else self._writing()

    def _script(self) -> Command:
        calls = [self._writing() for _ in range(self._random.randint(2, 4))]
        quoted = (", ".join(f"'{word.decode()}'" for word in args) for args in calls)
        return [b"EVAL", "".join(f"redis.pcall({words}) " for words in quoted).encode(), b"0"]

    def _waiting(self) -> Command:
        some = self._keys()
        counted = [b"0", b"%d" % len(some), *some]
        count = [b"COUNT", b"%d" % self._random.randint(1, 3)]
        return self._pick(
            lambda: [self._random.choice((b"BLPOP", b"BRPOP")), *some, b"0"],
            lambda: [b"BLMOVE", self._key(), self._key(), self._end(), self._end(), b"0"],
            lambda: [b"BRPOPLPUSH", self._key(), self._key(), b"0"],
            lambda: [b"BLMPOP", *counted, self._end(), *count],
            lambda: [self._random.choice((b"BZPOPMIN", b"BZPOPMAX")), *some, b"0"],
            lambda: [b"BZMPOP", *counted, self._random.choice((b"MIN", b"MAX")), *count],
            lambda: [b"XREAD", b"BLOCK", b"0", b"STREAMS", *some, *[b"$"] * len(some)],
            lambda: [b"XREADGROUP", *b"GROUP g me BLOCK 0 STREAMS".split(), self._key(), b">"],
        )

    def _writing(self) -> Command:
        push = self._random.choice((b"LPUSH", b"RPUSH"))
        new = [self._new() for _ in range(self._random.randint(1, 4))]
        scored = [word for name in new for word in (b"%d" % (int(name) % 3), name)]
        return self._pick(
            *[lambda: [push, self._key(), *new]] * 5,
            *[lambda: [b"ZADD", self._key(), *scored]] * 4,
            lambda: [b"XADD", self._key(), b"%s-1" % new[0], b"f", b"v"],
            lambda: [b"XGROUP", b"CREATE", self._key(), b"g", b"$", b"MKSTREAM"],
            lambda: [b"SET", self._key(), new[0]],
            lambda: [b"SADD", self._key(), *new],
            *[lambda: [b"DEL", self._key()]] * 3,
            lambda: [b"PEXPIRE", self._key(), b"-1"],
            lambda: [b"RENAME", self._key(), self._key()],
            lambda: [b"COPY", self._key(), self._key(), b"REPLACE"],
            lambda: [b"LMOVE", self._key(), self._key(), self._end(), self._end()],
            lambda: [b"SORT", self._key(), b"STORE", self._key()],
            lambda: [b"ZUNIONSTORE", self._key(), b"2", self._key(), self._key()],
            lambda: [b"ZRANGESTORE", self._key(), self._key(), b"0", b"1"],
            lambda: [b"LPOP", self._key()],
            lambda: [b"LMPOP", b"2", self._key(), self._key(), self._end()],
            lambda: [b"ZMPOP", b"2", self._key(), self._key(), b"MIN"],
            lambda: [b"GEOADD", self._key(), b"13.3", b"52.5", new[0]],
            lambda: [b"ZINTERSTORE", self._key(), b"2", self._key(), self._key()],
            lambda: [b"SUNIONSTORE", self._key(), self._key(), self._key()],
            lambda: [b"HSET", self._key(), new[0], b"v"],
            lambda: [b"LSET", self._key(), b"0", new[0]],
            lambda: [b"LREM", self._key(), b"0", new[0]],
            lambda: [b"MOVE", self._key(), b"1"],
            lambda: [b"EXPIRE", self._key(), b"1000"],
            lambda: [b"PERSIST", self._key()],
            lambda: [b"XDEL", self._key(), b"%s-1" % new[0]],
            lambda: [b"XTRIM", self._key(), b"MAXLEN", b"1"],
            lambda: [b"XACK", self._key(), b"g", b"%s-1" % new[0]],
            lambda: [b"XGROUP", b"SETID", self._key(), b"g", b"0"],
            lambda: [b"XGROUP", b"DESTROY", self._key(), b"g"],
            lambda: [b"XREADGROUP", *b"GROUP g you STREAMS".split(), self._key(), b">"],
            lambda: [b"XAUTOCLAIM", self._key(), b"g", b"you", b"0", b"0", b"JUSTID"],
            lambda: [b"FLUSHDB"],
        )
