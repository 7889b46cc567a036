"""``redis.Redis`` on an engine in this process, without a pool or packing in between.

``EngineRedis`` runs plain commands in one session that all threads share, and the hottest ones
(GET, SET, MGET) by the engine's shortcuts. What has state or waits (pub/sub, WATCH, blocking
commands, ``single_connection_client``, a ``cache_config``) goes through a pool of engine
connections, as redis-py's own client would do it.

A fork leaves the child with the data as of that moment; its clients open sessions of their own.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import redis
import redis.client

from cacheapp.clients.bytelevel import ByteCommands
from cacheapp.clients.direct import DirectSession, pipeline_waits, waits, when_lost
from cacheapp.clients.forms import learn
from cacheapp.clients.hot import HOT_COMMANDS, hot_commands
from cacheapp.clients.lean import queue_mset_px
from cacheapp.clients.mappings import HOT_MAPPINGS
from cacheapp.clients.methods import HOT_METHODS, queued_methods
from cacheapp.clients.numbers import HOT_NUMBERS
from cacheapp.clients.pool import EngineConnectionPool
from cacheapp.clients.scripts import NativeScripts, Script
from cacheapp.engine.native import NOT_NATIVE

__all__ = ["EnginePipeline", "EngineRedis"]

_METHODS = {**HOT_METHODS, **HOT_MAPPINGS, **HOT_NUMBERS}

_clients: weakref.WeakSet[EngineRedis] = weakref.WeakSet()


class EngineRedis(redis.Redis, ByteCommands, NativeScripts):
    """``redis.Redis`` whose server is an engine in this process; thread safe as that is.

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
        self._opening = threading.Lock()
        super().__init__(
            connection_pool=connection_pool or EngineConnectionPool(**settings),
            single_connection_client=single_connection_client,
        )
        self.auto_close_connection_pool = connection_pool is None
        self._replies_are_bytes = not self.get_encoder().decode_responses
        _clients.add(self)

    @classmethod
    def from_url(cls, url: str, **settings: Any) -> EngineRedis:
        """Return a client for a memory:// URL. Raises URLError; see ``factory.get_client``."""
        single = settings.pop("single_connection_client", False)
        pool = EngineConnectionPool.from_url(url, **settings)
        client = cls(connection_pool=pool, single_connection_client=single)
        client.auto_close_connection_pool = True
        return client

    def _open(self) -> DirectSession | None:
        """The session for plain commands; None where every command belongs to a connection."""
        if self.connection is not None or self.connection_pool.cache is not None:
            return None
        with self._opening:
            if self._direct is None:
                pool = self.connection_pool
                connection = pool.connection_class(**pool.connection_kwargs)
                connection.connect()
                self._direct = DirectSession(connection, self.response_callbacks, when_lost(self))
                self._use_hot_commands(self._direct)
            return self._direct

    def _use_hot_commands(self, direct: DirectSession) -> None:
        myself = weakref.proxy(self)  # else the functions would keep their client alive
        functions = hot_commands(
            direct,
            functools.partial(redis.Redis.set, myself),
            functools.partial(redis.Redis.mget, myself),
            functools.partial(EngineRedis.update, myself),
        )
        # A subclass's own method is not to be hidden.
        for name, function in functions.items():
            if getattr(type(self), name) is getattr(EngineRedis, name):
                vars(self)[name] = function

    def forget_session(self) -> None:
        """Have the next command open a new session (the old one is another process's, or gone)."""
        self._opening = threading.Lock()
        self.drop_session()

    def drop_session(self) -> None:
        """Have the next command open a new session: CLIENT KILL has ended this one."""
        self._direct = None
        for name in (*HOT_COMMANDS, *_METHODS):
            vars(self).pop(name, None)

    def set_response_callback(self, command: str, callback: Any) -> None:
        """Parse the command's replies with ``callback(reply, **options)``."""
        super().set_response_callback(command, callback)
        if self._direct is not None:
            self._direct.forget_callbacks()
        # Those of `methods` are made again when they are next used.
        for name in (command.lower(), *_METHODS):
            vars(self).pop(name, None)

    def close(self) -> None:
        """End the session and, where the pool is this client's own, its connections."""
        direct = self._direct
        self.forget_session()
        if direct is not None:
            direct.close()
        super().close()

    # Commands

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command and return its parsed reply. Raises redis-py's own exceptions."""
        direct = self._direct or self._open()
        if direct is None:
            return self._execute_command(*args, **options)  # type: ignore[no-untyped-call]
        form = direct.forms.get(args[0])
        if form is not None and not options:
            return form(*args)
        if waits(args):
            return self._execute_command(*args, **options)  # type: ignore[no-untyped-call]
        if form is None:
            learn(direct, args[0])
        return direct.execute(args, options)

    def run_script(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """Run a script in its native form where the engine allows it; see ``scripts.Script``."""
        direct = self._direct or self._open()
        if direct is not None and self._replies_are_bytes:
            reply = direct.run_form(script, keys, arguments)
            if reply is not NOT_NATIVE:
                return reply
        return script.evaluate(self, keys, arguments)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> EnginePipeline:
        """Return a pipeline; with ``transaction`` its commands run as one."""
        return EnginePipeline(self, transaction, shard_hint)

    def mset_px(self, pairs: Iterable[tuple[Any, Any]], ttl_ms: int | None) -> None:
        """Set several strings as one, each due in ``ttl_ms`` milliseconds; None is never.

        Not in redis-py: ``LeanRedis`` and both asyncio clients have it as well.
        """
        direct = self._direct or self._open()
        if direct is None:
            queue_mset_px(self.pipeline(), pairs, ttl_ms).execute()
        else:
            direct.set_strings(pairs, ttl_ms)


for _name, _method in _METHODS.items():
    setattr(EngineRedis, _name, _method)


class EnginePipeline(redis.client.Pipeline):
    """A pipeline that runs in its client's session, unless it watches keys or waits."""

    # Hides Redis.transaction(), here as in redis-py.
    transaction: bool  # type: ignore[assignment]

    def __init__(self, client: EngineRedis, transaction: bool, shard_hint: Any) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run the queued commands and return their replies, errors raised or in their place.

        Raises WatchError where a watched key was changed.
        """
        stack: list[Any] = self.command_stack
        direct = None
        if stack and not (self.watching or self.connection or self.scripts):
            direct = self._client._direct or self._client._open()
        plain = direct is not None and direct.are_plain(stack)
        if direct is None or (not plain and pipeline_waits(stack)):
            replies: list[Any] = super().execute(raise_on_error)
            return replies
        try:
            if self.transaction or self.explicit_transaction:
                replies = direct.run_transaction(stack, self.annotate_exception, plain=plain)
            else:
                replies = direct.run_pipeline(stack, plain=plain)
            if raise_on_error:
                self.raise_first_error(stack, replies)  # type: ignore[no-untyped-call]
            return replies
        finally:
            self.reset()


for _name, _queue in queued_methods().items():
    setattr(EnginePipeline, _name, _queue)


def _forget_sessions() -> None:
    for client in list(_clients):
        client.forget_session()


if hasattr(os, "register_at_fork"):
    # After the engine's own hook, which was registered when it was imported above.
    os.register_at_fork(after_in_child=_forget_sessions)
