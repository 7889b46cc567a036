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

__all__ = ["Native", "NativeScripts", "Script", "Update"]

#: ``native(call, now_us, keys, arguments)``; see ``cacheapp.engine.native``.
Native = Callable[[Callable[..., Any], int, Sequence[bytes], Sequence[Any]], Any]
#: ``update(held, now_us, arguments)`` for the one string that a script is about; see there.
Update = Callable[[bytes | None, int, Sequence[Any]], tuple[Any, bytes | None, int]]


class NativeScripts:
    """What the clients of an engine have beside redis-py's methods.

    The asyncio client's method returns an awaitable of the same.
    """

    def run_script(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """Run the script's native form, or the script itself where the engine asks for it."""
        raise NotImplementedError

    def update(self, script: Script, key: bytes, arguments: Sequence[Any]) -> Any:
        """Run a script that is about the one string at ``key``; the hot form of ``run_script``."""
        return self.run_script(script, (key,), arguments)

    def count_window(self, key: bytes, limit: int, period_us: int) -> Any:
        """Charge one to a rate limit's window, if that is all; see ``cacheapp.engine.windows``.

        Returns None where this client does no such thing now and the caller's script has to.
        """

    def set_fields(self, key: bytes, pairs: Sequence[bytes], ttl_ms: int) -> Any:
        """If there is a hash at ``key``, set fields and values, given in turn, and its deadline.

        Returns whether there was one, or None where this client does no such thing now and the
        caller's script has to.
        """


class Script:
    """A Lua script and its native form. ``text`` is its source.

    The form is a ``native`` function, or an ``update`` of the string at the one key. ``sha`` is the
    digest by which servers know it. Keys are bytes; arguments bytes, str or numbers, which reach a
    Lua script as text and a native form as they are. Replies are those of EVALSHA: a native form
    returns bytes, int, None or sequences of them.
    """

    __slots__ = ("has_form", "native", "sha", "text", "update")

    def __init__(
        self, text: str, native: Native | None = None, update: Update | None = None
    ) -> None:
        self.text = text
        self.native = native
        self.update = update
        self.has_form = not (native is None and update is None)
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def load(cls, path: Path, native: Native | None = None, update: Update | None = None) -> Script:
        """Return the script whose source is the file at ``path``."""
        return cls(path.read_text(encoding="utf-8"), native, update)

    def run(self, client: Any, keys: Sequence[bytes], arguments: Sequence[Any] = ()) -> Any:
        """Run it on a ``redis.Redis`` and return its reply. Raises redis-py's exceptions."""
        if self.has_form and isinstance(client, NativeScripts):
            if self.update is not None:
                return client.update(self, keys[0], arguments)
            return client.run_script(self, keys, arguments)
        return self.evaluate(client, keys, arguments)

    async def arun(self, client: Any, keys: Sequence[bytes], arguments: Sequence[Any] = ()) -> Any:
        """Run it on a ``redis.asyncio.Redis``; see ``run``."""
        if self.has_form and isinstance(client, NativeScripts):
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
