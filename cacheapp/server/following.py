"""The link to a master, in the server's event loop: handshake, copy, stream, confirmations.

One task for each master that the engine is told to follow. It speaks to the master as Redis's
replicas do, takes the copy in either form (of known length, or up to a mark), hands over the
commands as they come, and says each second how far it is. Whatever breaks the link is logged, and
after a second it is tried again, from where the stream was if the master still knows that.

Left out on purpose: TLS to the master.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from cacheapp.engine.following import CONNECTED, CONNECTING, HANDSHAKE, SYNC, Following
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.replay import packed
from cacheapp.server.protocol import ProtocolError, RequestParser

if TYPE_CHECKING:
    from cacheapp.server.tcp import Server

__all__ = ["Link"]

_logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
_ACK_SECONDS = 1.0
# Between two looks whether a pause is over.
_PAUSE_SECONDS = 0.01
_READ_BYTES = 256 * 1024
_MARK_BYTES = 40


_REASON_CHARACTERS = 200


class _Refused(Exception):
    """The master does not want us, or says what no master says."""


_BROKEN = (OSError, EOFError, TimeoutError, ProtocolError, CorruptPayload, _Refused)


class Link:
    """Keeps the engine of a server connected to its master, while it has one."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engine = server.engine
        self._thread = threading.get_ident()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        server.engine.link = self.changed

    def changed(self) -> None:
        """Whom to follow has changed. From any thread."""
        with contextlib.suppress(RuntimeError):
            self._server.loop.call_soon_threadsafe(self._restart)

    def _restart(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        following = self._engine.following
        if following is not None and not self._stopped:
            self._task = self._server.loop.create_task(self._keep(following))

    async def stop(self) -> None:
        """Let the master go; it is not looked for again."""
        self._stopped = True
        self._engine.link = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _keep(self, following: Following) -> None:
        said = ""
        while True:
            try:
                await self._follow(following)
            except _BROKEN as error:
                reason = str(error)[:_REASON_CHARACTERS] or "timed out"
                # Once, and not each second.
                if reason != said:
                    said = reason
                    address = f"{following.host}:{following.port}"
                    _logger.warning("the link to the master at %s: %s", address, reason)
            except Exception:
                _logger.exception("the link to the master broke")
                # How much of what came last was applied nobody knows: all is copied again.
                following.replication_id = ""
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, following: Following) -> None:
        """Connect, and apply what comes until the link breaks; then it is down."""
        timeout_s: int = self._engine.config["repl-timeout"]
        following.state = CONNECTING
        writer = acknowledging = None
        try:
            async with asyncio.timeout(timeout_s):
                own = self._engine.config["bind-source-addr"]
                reader, writer = await asyncio.open_connection(
                    following.host,
                    following.port,
                    limit=_READ_BYTES,
                    local_addr=(own, 0) if own else None,
                )
                following.state = HANDSHAKE
                await self._introduce(reader, writer)
            rest = await self._synchronise(following, reader, writer, timeout_s)
            with self._engine.lock:
                following.up()
                if following.session is None:
                    raise _Refused("it is followed no longer")
                following.session.hung_up = writer.transport.abort
            acknowledging = asyncio.create_task(self._acknowledge(following, writer))
            await self._apply(following, reader, writer, rest)
        finally:
            if acknowledging is not None:
                acknowledging.cancel()
            if writer is not None:
                writer.transport.abort()
            with self._engine.lock:
                following.down()

    async def _introduce(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say who we are, and be let in."""
        config = self._engine.config
        answer = await _ask(reader, writer, b"PING")
        if not answer.startswith((b"+", b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted")):
            raise _Refused(answer.decode("utf-8", "replace"))
        if config["masterauth"]:
            user = [config["masteruser"]] if config["masteruser"] else []
            login = [word.encode() for word in (*user, config["masterauth"])]
            answer = await _ask(reader, writer, b"AUTH", *login)
            if answer.startswith(b"-"):
                raise _Refused(answer.decode("utf-8", "replace"))
        port = b"%d" % (config["replica-announce-port"] or self._server.port)
        # A master that does not know these does without.
        await _ask(reader, writer, b"REPLCONF", b"listening-port", port)
        if config["replica-announce-ip"]:
            address = config["replica-announce-ip"].encode()
            await _ask(reader, writer, b"REPLCONF", b"ip-address", address)
        await _ask(reader, writer, b"REPLCONF", b"capa", b"eof", b"capa", b"psync2")

    async def _synchronise(
        self,
        following: Following,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        timeout_s: int,
    ) -> bytes:
        """Go on where the stream was, or take a copy; what was read beyond it."""
        name, offset = following.replication_id or "?", following.offset + 1
        async with asyncio.timeout(timeout_s):
            where = b"%d" % (offset if following.replication_id else -1)
            answer = await _ask(reader, writer, b"PSYNC", name.encode(), where)
        words = answer[1:].decode("ascii", "replace").split()
        if answer.startswith(b"+CONTINUE"):
            if len(words) > 1:
                following.replication_id = words[1]
            return b""
        if not answer.startswith(b"+FULLRESYNC") or len(words) != 3 or not words[2].isdigit():
            raise _Refused(answer.decode("utf-8", "replace"))
        following.state = SYNC
        header = await _line(reader, timeout_s)
        copy, rest = await _copy(reader, header, timeout_s)
        with self._engine.lock:
            following.load(copy, words[1], int(words[2]))
        return rest

    async def _apply(
        self,
        following: Following,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        data: bytes,
    ) -> None:
        """Hand the master's commands to the engine until the master goes."""
        parser = RequestParser()
        parser.bulk_bytes_max = 2**63 - 1
        seen = following.offset
        while following.state == CONNECTED:
            parser.feed(data)
            seen += len(data)
            while commands := parser.take(authenticated=True):
                await self._unpaused(following)
                with self._engine.lock:
                    following.apply(
                        [args for args in commands if args[0].upper() != b"REPLCONF"],
                        seen - parser.pending_bytes,
                    )
                if any(args[0].upper() == b"REPLCONF" for args in commands):
                    # GETACK: somebody waits for how far we are.
                    writer.write(_confirmation(following))
            data = await reader.read(_READ_BYTES)
            if not data:
                raise EOFError("the master has closed it")
            with self._engine.lock:
                following.heard = self._engine.clock.time()

    async def _unpaused(self, following: Following) -> None:
        """Return when no CLIENT PAUSE is on: as for clients, the master's commands wait for it."""
        while self._engine.pause.until_ms > self._engine.clock.time() * 1000:
            following.heard = self._engine.clock.time()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _acknowledge(self, following: Following, writer: asyncio.StreamWriter) -> None:
        """Say how far we are, at once and each second; hang up on a master that is silent."""
        while True:
            silent = self._engine.clock.time() - following.heard
            if silent > self._engine.config["repl-timeout"]:
                writer.transport.abort()
                return
            writer.write(_confirmation(following))
            await asyncio.sleep(_ACK_SECONDS)


def _confirmation(following: Following) -> bytes:
    return packed([b"REPLCONF", b"ACK", b"%d" % following.offset])


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *words: bytes) -> bytes:
    """Send a command; the line that answers it."""
    writer.write(packed(list(words)))
    return await _line(reader)


async def _line(reader: asyncio.StreamReader, timeout_s: float | None = None) -> bytes:
    """The next line that says something: masters send empty ones while they are busy.

    TimeoutError where nothing at all comes for `timeout_s`.
    """
    while True:
        async with asyncio.timeout(timeout_s):
            line = await reader.readuntil(b"\n")
        if stripped := line.strip():
            return stripped


async def _copy(reader: asyncio.StreamReader, header: bytes, timeout_s: int) -> tuple[bytes, bytes]:
    """The dump that `header` announces, and what was read beyond it."""
    mark = header[5:] if header.startswith(b"$EOF:") else b""
    if not mark and not (header.startswith(b"$") and header[1:].isdigit()):
        raise _Refused(header.decode("utf-8", "replace"))
    data = bytearray()
    while True:
        if mark and data.endswith(mark, -_MARK_BYTES):
            return bytes(data[:-_MARK_BYTES]), b""
        if not mark and len(data) >= (size := int(header[1:])):
            return bytes(data[:size]), bytes(data[size:])
        async with asyncio.timeout(timeout_s):
            piece = await reader.read(_READ_BYTES)
        if not piece:
            raise EOFError("the master has closed it in the middle of its copy")
        data += piece
