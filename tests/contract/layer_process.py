"""A process of its own with a layer, which does what it is told over a pipe, one call at a time.

Its loop goes on between the calls, as that of a web server does. It is spawned, not forked: the
tests' process has threads and connections of its own.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import Any

TIMEOUT_S = 60.0


class LayerProcess:
    """A process whose layer is on the server at ``url``. ``close`` it."""

    def __init__(self, url: str, **config: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, url, config))
        self._process.start()
        theirs.close()

    def ask(self, method: str, *arguments: Any) -> None:
        """Have it call a method of the layer; ``answer`` is what that returns."""
        self._pipe.send((method, arguments))

    def answer(self) -> Any:
        """What the last call returned; raises what it raised."""
        if not self._pipe.poll(TIMEOUT_S):
            raise TimeoutError("the process does not answer")
        found = self._pipe.recv()
        if isinstance(found, BaseException):
            raise found
        return found

    def __call__(self, method: str, *arguments: Any) -> Any:
        """Call a method of the layer."""
        self.ask(method, *arguments)
        return self.answer()

    def types(self, channel: str, count: int) -> list[str]:
        """The types of the next messages of one of its channels."""
        return [self("receive", channel)["type"] for _ in range(count)]

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.join(TIMEOUT_S)

    def close(self) -> None:
        """End it."""
        if self._process.is_alive():
            self._pipe.send(None)
        self._process.join(TIMEOUT_S)
        self._process.close()
        self._pipe.close()


def _run(pipe: Connection, url: str, config: dict[str, Any]) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    asyncio.run(_serve(pipe, url, config))


async def _serve(pipe: Connection, url: str, config: dict[str, Any]) -> None:
    from cacheapp.channels import ChannelLayer

    layer = ChannelLayer(url=url, **config)
    while (told := await asyncio.to_thread(pipe.recv)) is not None:
        method, arguments = told
        try:
            found = getattr(layer, method)(*arguments)
            if asyncio.iscoroutine(found):
                found = await asyncio.wait_for(found, TIMEOUT_S / 2)
            pipe.send(found)
        except Exception as error:  # noqa: BLE001 - the test is to see it
            pipe.send(error)
    await layer.close()
