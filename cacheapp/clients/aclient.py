"""The asyncio twin of ``client``: ``redis.asyncio.Redis`` on an engine in this process.

Plain commands finish in the step that awaits them: such an ``await`` does not let other tasks run.
That is what makes them cheap, and a task that does nothing else for long should yield on its own
(``await asyncio.sleep(0)``), as it would beside any other computation. What waits does suspend.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis.asyncio
import redis.asyncio.client

from cacheapp.clients.bytelevel import ByteCommands
from cacheapp.clients.direct import DirectSession, pipeline_waits, waits, when_lost
from cacheapp.clients.hot import HOT_COMMANDS, hot_commands
from cacheapp.clients.lean import queue_mset_px
from cacheapp.clients.mappings import MAPPING_SHAPES
from cacheapp.clients.methods import SHAPES, hot_methods
from cacheapp.clients.numbers import NUMBER_SHAPES
from cacheapp.clients.pool import AsyncEngineConnectionPool
from cacheapp.clients.scripts import NativeScripts, Script
from cacheapp.engine.native import NOT_NATIVE

__all__ = ["AsyncEnginePipeline", "AsyncEngineRedis"]

_METHODS = hot_methods({**SHAPES, **MAPPING_SHAPES, **NUMBER_SHAPES}, redis.asyncio.Redis)


class AsyncEngineRedis(redis.asyncio.Redis, ByteCommands, NativeScripts):  # type: ignore[misc]
    """``redis.asyncio.Redis`` whose server is an engine in this process; for one event loop.

    ``settings`` are those of an engine connection (see ``base.Settings``), unless a
    ``connection_pool`` of engine connections is given. Opens its session at the first command.
    """

    _direct: DirectSession | None = None

    def __init__(
        self,
        *,
        connection_pool: Any = None,
        single_connection_client: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(
            connection_pool=connection_pool or AsyncEngineConnectionPool(**settings),
            single_connection_client=single_connection_client,
        )
        self.auto_close_connection_pool = connection_pool is None
        self._replies_are_bytes = not self.get_encoder().decode_responses  # type: ignore[no-untyped-call]

    @classmethod
    def from_url(cls, url: str, **settings: Any) -> AsyncEngineRedis:  # type: ignore[override]
        """Return a client for a memory:// URL. Raises URLError; see ``factory``."""
        single = settings.pop("single_connection_client", False)
        pool = AsyncEngineConnectionPool.from_url(url, **settings)
        client = cls(connection_pool=pool, single_connection_client=single)
        client.auto_close_connection_pool = True
        return client

    async def _open(self) -> DirectSession | None:
        """The session for plain commands; None where every command belongs to one connection."""
        if self.single_connection_client:
            return None
        pool: Any = self.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        await connection.connect()
        if self._direct is None:  # another task may have been quicker
            self._direct = DirectSession(
                connection, self.response_callbacks, when_lost(self), asynchronous=True
            )
            self._use_hot_commands(self._direct)
        return self._direct

    def _use_hot_commands(self, direct: DirectSession) -> None:
        myself = weakref.proxy(self)  # else the functions would keep their client alive
        functions = hot_commands(
            direct,
            functools.partial(redis.asyncio.Redis.set, myself),
            functools.partial(redis.asyncio.Redis.mget, myself),
            functools.partial(AsyncEngineRedis.update, myself),
        )
        # A subclass's own method is not to be hidden.
        for name, function in functions.items():
            if getattr(type(self), name) is getattr(AsyncEngineRedis, name):
                vars(self)[name] = _awaited(name, function)

    def set_response_callback(self, command: str, callback: Any) -> None:
        """Parse the command's replies with ``callback(reply, **options)``."""
        super().set_response_callback(command, callback)
        for name in (command.lower(), *_METHODS):
            vars(self).pop(name, None)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """End the session and, where the pool is this client's own, its connections."""
        direct = self._direct
        self.drop_session()
        if direct is not None:
            direct.close()
        await super().aclose(close_connection_pool)

    def drop_session(self) -> None:
        """Have the next command open a new session."""
        self._direct = None
        for name in (*HOT_COMMANDS, *_METHODS):
            vars(self).pop(name, None)

    # Commands

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command and return its parsed reply. Raises redis-py's own exceptions."""
        direct = self._direct or await self._open()
        if direct is None or waits(args):
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        reply = direct.execute(args, options)
        return await reply if inspect.isawaitable(reply) else reply

    async def run_script(
        self, script: Script, keys: Sequence[bytes], arguments: Sequence[Any]
    ) -> Any:
        """Run a script in its native form where the engine allows it; see ``scripts.Script``."""
        direct = self._direct or await self._open()
        if direct is not None and self._replies_are_bytes:
            reply = direct.run_form(script, keys, arguments)
            if reply is not NOT_NATIVE:
                return reply
        return await script.aevaluate(self, keys, arguments)

    def pipeline(
        self, transaction: bool = True, shard_hint: str | None = None
    ) -> AsyncEnginePipeline:
        """Return a pipeline; with ``transaction`` its commands run as one."""
        return AsyncEnginePipeline(self, transaction, shard_hint)

    async def mset_px(self, pairs: Iterable[tuple[Any, Any]], ttl_ms: int | None) -> None:
        """Set several strings as one, each due in ``ttl_ms`` milliseconds; None is never.

        Not in redis-py: ``LeanAsyncRedis`` and both sync clients have it as well.
        """
        direct = self._direct or await self._open()
        if direct is None:
            await queue_mset_px(self.pipeline(), pairs, ttl_ms).execute()
        else:
            direct.set_strings(pairs, ttl_ms)


for _name, _method in _METHODS.items():
    setattr(AsyncEngineRedis, _name, _method)


def _awaited(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The coroutine function of one of ``hot_commands``."""
    if name == "get":

        async def get(key: Any) -> Any:
            return function(key)

        return get

    async def command(*args: Any, **options: Any) -> Any:
        reply = function(*args, **options)
        return await reply if inspect.isawaitable(reply) else reply

    return command


class AsyncEnginePipeline(redis.asyncio.client.Pipeline):
    """A pipeline that runs in its client's session, unless it watches keys or waits."""

    def __init__(self, client: AsyncEngineRedis, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run the queued commands and return their replies, errors raised or in their place.

        Raises WatchError where a watched key was changed.
        """
        stack: list[Any] = self.command_stack
        direct = None
        if stack and not (self.watching or self.connection or self.scripts):
            direct = self._client._direct or await self._client._open()
        plain = direct is not None and direct.are_plain(stack)
        if direct is None or (not plain and pipeline_waits(stack)):
            return await super().execute(raise_on_error)
        try:
            if self.is_transaction or self.explicit_transaction:
                replies = direct.run_transaction(stack, self.annotate_exception, plain=plain)
            else:
                replies = direct.run_pipeline(stack, plain=plain)
            if raise_on_error:
                self.raise_first_error(stack, replies)
            return [await item if inspect.isawaitable(item) else item for item in replies]
        finally:
            await self.reset()  # type: ignore[no-untyped-call]
