"""A small TCP proxy before a server, with the faults of a network: resets, silence each way, and
messages for a listener in another order, twice or late (see `mixer`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from tests.invalidation.torture.mixer import Mixer

HOST = "127.0.0.1"
#: Before each request of a listener while its messages are mixed.
MIX_PAUSE_S = 0.03


class Proxy:
    """One listening port that leads to `port`. Change `swallows` to lose bytes on the way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self._loop = loop
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        #: "up" loses what goes to the server, "down" what comes from it.
        self.swallows = ""
        #: Whether listeners' messages are mixed, and how often they were.
        self.mixes = False
        self.mixed: Counter[str] = Counter()
        self._chance = random.Random(port)
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]

    def reset(self) -> None:
        """End every connection with a reset; callable from any thread."""
        self._loop.call_soon_threadsafe(self._reset)

    def _reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.swallows:
                # A connection that is made in the silence stays silent.
                upstream_reader, upstream = asyncio.StreamReader(), None
            else:
                upstream_reader, upstream = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer} if upstream is None else {writer, upstream}
        self._writers |= both
        mixer = Mixer(self._chance, self.mixed)
        try:
            await asyncio.gather(
                self._pump(reader, upstream, "up", mixer),
                self._pump(upstream_reader, writer, "down", mixer),
            )
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for each in both:
                each.transport.abort()
            self._writers -= both

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter | None,
        way: str,
        mixer: Mixer,
    ) -> None:
        silenced = writer is None
        while data := await reader.read(65536):
            if way == "up":
                # A listener's: it asks, and asks on when it has the reply, so all is read so far.
                mixer.is_needed = mixer.is_needed or b"XREAD" in data
                if mixer.is_needed and self.mixes:
                    # So that several messages come in one reply.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(asyncio.Event().wait(), MIX_PAUSE_S)
            elif mixer.is_needed:
                mixer.mixes = self.mixes
                data = mixer.feed(data)
            # What was once cut in the middle stays cut: bytes of a half reply mean nothing.
            silenced = silenced or self.swallows == way
            if not silenced and writer is not None:
                writer.write(data)
                await writer.drain()
        raise ConnectionResetError


class Proxies:
    """A thread with an event loop for all proxies."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def add(self, port: int) -> Proxy:
        """A new proxy before `port`."""
        proxy = Proxy(self._loop, port)
        self._run(proxy.start())
        return proxy

    def close(self) -> None:
        """End the thread, and all connections with it."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
