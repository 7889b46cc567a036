"""How the writes of one alias announce themselves: the write and its message in one MULTI.

An operation marks what changes keys by ``Write(request, message)``. ``announced`` runs such an
operation: it records the commands of each write, adds the message, and sends all of it as one
transaction in one round trip; afterwards it drops the copies of this process, so that a process
reads its own writes.

A message can fail where the write does not, since MULTI does not roll back (the stream is missing,
of another type, or has foreign ids). Every reader's heartbeat sees that state and flushes, so the
bound holds without the writer. The writer mends it nevertheless: it changes the epoch, which
flushes everybody even if the old stream comes back, and makes a new stream. Where the server is
out of memory and the write needs none, as a deletion, the stream is deleted with it.

Left out on purpose: writes on a raw client (``get_redis_connection``), which announce nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

import redis.asyncio.client
import redis.client
from redis.commands.core import CoreCommands
from redis.exceptions import OutOfMemoryError, RedisError

from cacheapp.clients.bytelevel import ByteCommands, Commands
from cacheapp.invalidation import commits
from cacheapp.invalidation.protocol import (
    HELLO,
    KEY,
    Copies,
    Message,
    apply,
    first_id,
    keys_message,
)

#: Messages that a stream keeps at least; who is further behind flushes.
MESSAGES_MAX: Final = 10_000
#: Commands that a server out of memory still takes.
FREE_OF_MEMORY: Final = frozenset(
    {"DEL", "EXISTS", "EXPIRE", "EXPIREAT", "PERSIST", "PEXPIRE", "PEXPIREAT", "UNLINK"}
)
PIPELINES: Final = (redis.client.Pipeline, redis.asyncio.client.Pipeline)

Request = Callable[[Any], Any]


class Write:
    """A request that changes keys, as an operation yields it, and what is to be said of it."""

    __slots__ = ("message", "request")

    def __init__(self, request: Request, message: Message) -> None:
        self.request = request
        self.message = message

    @classmethod
    def to(cls, names: Sequence[bytes], request: Request, *, early: bool = False) -> Write:
        """Return the write that changes ``names``; an ``early`` one is for near caches alone."""
        return cls(request, keys_message(names, early=early))


class Recorder(CoreCommands):
    """Takes a request in a client's place, and keeps the commands that it would send."""

    _event_dispatcher: Any = None

    def __init__(self) -> None:
        self.commands: list[tuple[Any, ...]] = []

    def execute_command(self, *args: Any, **options: Any) -> Recorder:
        """Keep a command."""
        self.commands.append(args)
        return self

    def pipeline(self, transaction: bool = True) -> Recorder:
        """Go on: what is recorded becomes one transaction anyway."""
        return self

    def execute(self) -> None:
        """The end of a request that used a pipeline."""


def stream_keys(prefix: str) -> tuple[bytes, bytes]:
    """Return the keys of the stream and of its epoch for aliases with this KEY_PREFIX.

    Aliases with one prefix on one database write the same keys, and so to one stream.
    """
    stream = f"cacheapp:invalidation:{prefix}".encode()
    return stream, stream + b":epoch"


class Bus:
    """The announcements of one alias; ``near`` is its near cache in this process."""

    def __init__(self, prefix: str, near: Copies) -> None:
        self.stream, self.epoch = stream_keys(prefix)
        self.near = near
        #: Gives the synchronous client of the primary; set when the alias is first used.
        self.primary: Callable[[], Any] = _unopened
        #: Takes the messages where a Channels layer carries them, and not the stream.
        self.carrier: Any = None
        self._add = (*("XADD", self.stream, "NOMKSTREAM", "MAXLEN", "~", str(MESSAGES_MAX), "1-*"),)

    def announcement(self, message: Message) -> tuple[Any, ...]:
        """Return the command that adds a message."""
        return (*self._add, *message)

    def new_stream(self, message: Message = (HELLO, b""), *, in_place: bool) -> Commands:
        """Return the commands that make a stream; ``in_place`` of something that is no good."""
        commands: list[tuple[Any, ...]] = [("SET", self.epoch, secrets.token_hex(8))]
        if in_place:
            commands.append(("UNLINK", self.stream))
        commands.append(("XADD", self.stream, first_id(), *message))
        return commands

    def store(self, client: Any, name: bytes, command: tuple[Any, ...]) -> bool:
        """Send one SET with its message: the hot form of ``write``. Raises the server's error."""
        from cacheapp.cache.steps import drive  # the package imports this module

        if self.carrier is not None or commits.in_atomic() is not None:
            write = Write.to((name,), lambda queue: queue.execute_command(*command))
            drive(self.write(write), client)
            return True
        try:
            reply, added = transact(client, (command, (*self._add, KEY, name)))
        finally:
            self.near.drop((name,))
        if added is None or isinstance(added, RedisError):
            drive(self.mend(added, (KEY, name)), client)
        if isinstance(reply, RedisError):
            raise reply
        return True

    def send_now(self, commands: Commands, message: Message) -> None:
        """Send commands and a message by the synchronous client of the primary."""
        from cacheapp.cache.steps import drive

        try:
            drive(self.send(commands, message), self.primary())
        finally:
            apply(message, self.near)

    def announced(self, steps: Generator[Request, Any, Any]) -> Generator[Request, Any, Any]:
        """Run an operation's steps, each ``Write`` among them as ``write`` does."""
        try:
            request: Any = next(steps)
            while True:
                try:
                    if request.__class__ is Write:
                        reply = yield from self.write(request)
                    else:
                        reply = yield request
                except RedisError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(reply)
        except StopIteration as stop:
            return stop.value

    def write(self, write: Write) -> Generator[Request, Any, Any]:
        """Steps: send a write with its message. The reply is the request's, or a list of several.

        Raises the server's error for the write. One for the message is mended.
        """
        recorder = Recorder()
        write.request(recorder)
        message, again = commits.of_write(self, recorder.commands, write.message)
        try:
            replies = yield from self.send(recorder.commands, message)
        finally:
            apply(message, self.near)
        if again is not None:
            again()
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies[0] if len(replies) == 1 else replies

    def send(self, commands: Commands, message: Message) -> Generator[Request, Any, list[Any]]:
        """Steps: commands and a message in one MULTI. The replies are those of the commands."""
        if self.carrier is not None:
            try:
                if not commands:
                    return []
                return list((yield lambda client: transact(client, commands)))
            finally:
                # Also where nobody knows whether it was done.
                self.carrier.send(message)
        said = [*commands, self.announcement(message)]
        try:
            *replies, added = yield lambda client: transact(client, said)
        except OutOfMemoryError:
            if not all(command[0] in FREE_OF_MEMORY for command in commands):
                raise
            # Such a server takes nothing in a MULTI. To a reader a missing stream says enough.
            alone = [*commands, ("UNLINK", self.stream)]
            *replies, _ = yield lambda client: together(client, alone)
            return replies
        if added is None or isinstance(added, RedisError):
            yield from self.mend(added, message)
        return replies

    def mend(self, failure: Any, message: Message) -> Generator[Request, Any, None]:
        """Steps: make a new stream where ``failure`` is XADD's reply, None or an error."""
        commands = self.new_stream(message, in_place=failure is not None)
        yield lambda client: transact(client, commands)


def transact(client: Any, commands: Commands) -> Any:
    """Send commands as one MULTI; a caller's own pipeline only queues them."""
    if isinstance(client, ByteCommands):
        return client.transact(commands)
    if isinstance(client, PIPELINES):
        for command in commands:
            client.execute_command(*command)
        queued = [client] * len(commands)
        return _ready(queued) if isinstance(client, redis.asyncio.client.Pipeline) else queued
    return ByteCommands.transact(client, commands)


async def _ready(replies: list[Any]) -> list[Any]:
    return replies


def together(client: Any, commands: Commands) -> Any:
    """Send commands in one go, with any client of redis-py."""
    if isinstance(client, ByteCommands):
        return client.together(commands)
    return ByteCommands.together(client, commands)


def _unopened() -> Any:
    raise RuntimeError("no backend of this alias was used yet")
