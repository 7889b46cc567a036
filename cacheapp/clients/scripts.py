"""Lua scripts of this package, each with a native form for engines in the same process.

A `Script` goes to a server by its digest, and whole where the server lacks it. A client of an
engine runs the native form instead, a Python function (see `cacheapp.engine.native`), where the
engine allows it; the two give the same replies and leave the same data, which the tests of each
script compare.

`run` and `arun` are for callers with a client in hand; operations written as steps have
`cacheapp.cache.steps.run_script`. Left out on purpose: scripts in pipelines, which queue EVALSHA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

__all__ = ["Native", "NativeScripts", "Script"]

#: ``native(call, now_us, keys, arguments)``; see ``cacheapp.engine.native``.
Native = Callable[[Callable[..., Any], int, Sequence[bytes], Sequence[Any]], Any]


class NativeScripts:
    """What the clients of an engine have beside redis-py's methods.

    The asyncio client's method returns an awaitable of the same.
    """

    def run_script(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """Run the script's native form, or the script itself where the engine asks for it."""
        raise NotImplementedError


class Script:
    """A Lua script and its native form. ``text`` is its source.

    ``sha`` is the digest by which servers know it. Keys are bytes; arguments bytes, str or
    numbers, which reach a Lua script as text and a native form as they are. Replies are those of
    EVALSHA: a native form returns bytes, int, None or lists of them.
    """

    __slots__ = ("native", "sha", "text")

    def __init__(self, text: str, native: Native | None = None) -> None:
        self.text = text
        self.native = native
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def load(cls, path: Path, native: Native | None = None) -> Script:
        """Return the script whose source is the file at ``path``."""
        return cls(path.read_text(encoding="utf-8"), native)

    def run(self, client: Any, keys: Sequence[bytes], arguments: Sequence[Any] = ()) -> Any:
        """Run it on a ``redis.Redis`` and return its reply. Raises redis-py's exceptions."""
        if self.native is not None and isinstance(client, NativeScripts):
            return client.run_script(self, keys, arguments)
        return self.evaluate(client, keys, arguments)

    async def arun(self, client: Any, keys: Sequence[bytes], arguments: Sequence[Any] = ()) -> Any:
        """Run it on a ``redis.asyncio.Redis``; see ``run``."""
        if self.native is not None and isinstance(client, NativeScripts):
            return await client.run_script(self, keys, arguments)
        return await self.aevaluate(client, keys, arguments)

    def evaluate(self, client: Any, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """Run the Lua script on a ``redis.Redis``, whatever it is a client of."""
        try:
            return client.evalsha(self.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.eval(self.text, len(keys), *keys, *arguments)

    async def aevaluate(self, client: Any, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """Run the Lua script on a ``redis.asyncio.Redis``."""
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await client.eval(self.text, len(keys), *keys, *arguments)
