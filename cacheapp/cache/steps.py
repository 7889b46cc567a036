"""Operations written once for both worlds: generators that ask, and two that wait for answers.

An operation is a generator. It yields a request, a function of a redis-py client, and gets the
reply sent back; it returns the operation's result. On ``redis.Redis`` a request returns the
reply, on ``redis.asyncio.Redis`` something to await, and that is all in which ``drive`` and
``adrive`` differ. Errors of the server are thrown into the generator where the request stands;
whatever else ends the wait (a cancellation, a timeout around it) closes the generator.

``twins`` makes a backend's method and its ``a``-twin out of one operation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Sequence
from operator import methodcaller
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, RedisError

from cacheapp.clients.scripts import NativeScripts, Script

T = TypeVar("T")
Request = Callable[[Any], Any]
#: What is yielded is a request, or where writes are announced a ``Write`` that holds one.
Steps = Generator[Any, Any, T]


def drive(steps: Steps[T], client: Any) -> T:
    """Run an operation on a synchronous client and return its result."""
    try:
        request = next(steps)
        while True:
            try:
                reply = request(client)
            except RedisError as error:
                request = steps.throw(error)
            else:
                request = steps.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except BaseException:
        # At once, and not when its traceback is forgotten: a write has to end its own copies.
        steps.close()
        raise


async def adrive(steps: Steps[T], client: Any) -> T:
    """Run an operation on an asyncio client and return its result."""
    try:
        request = next(steps)
        while True:
            try:
                reply = await request(client)
            except RedisError as error:
                request = steps.throw(error)
            else:
                request = steps.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except BaseException:
        steps.close()  # see drive()
        raise


def twins(
    operation: Callable[..., Steps[Any]],
    *,
    degraded: Callable[..., Any],
    writes: bool = True,
    lost: Callable[..., Iterable[bytes]] | None = None,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return a backend's method for ``operation``, and its asynchronous twin.

    ``degraded`` takes the backend and the method's arguments, and gives what it returns while the
    server does not answer and IGNORE_EXCEPTIONS is set; ``lost`` takes the same, and gives the keys
    of which the server may still have an old value then. Both methods also take ``client=``, a
    redis-py client or pipeline to use in place of the alias's own.
    """

    @functools.wraps(operation)
    def method(self: Any, *args: Any, client: Any = None, **kwargs: Any) -> Any:
        try:
            return self._run(operation(self, *args, **kwargs), writes=writes, client=client)
        except self.server_errors as error:
            if not self._failed(error, writes=writes):
                raise
            if lost is not None:
                self._outages.lost.add(lost(self, *args, **kwargs))
            return degraded(self, *args, **kwargs)

    @functools.wraps(operation)
    async def amethod(self: Any, *args: Any, client: Any = None, **kwargs: Any) -> Any:
        try:
            return await self._arun(operation(self, *args, **kwargs), writes=writes, client=client)
        except self.server_errors as error:
            if not self._failed(error, writes=writes):
                raise
            if lost is not None:
                self._outages.lost.add(lost(self, *args, **kwargs))
            return degraded(self, *args, **kwargs)

    amethod.__name__ = f"a{operation.__name__}"
    amethod.__qualname__ = f"a{operation.__qualname__}"
    return method, amethod


def run_script(
    script: Script,
    keys: Sequence[bytes],
    arguments: Sequence[Any],
    write: Callable[[Request], Any] = lambda request: request,
) -> Steps[Any]:
    """The steps that run a script, or its native form on an engine; the result is its reply.

    ``write`` makes of each request what is to be yielded.
    """

    def ask(client: Any) -> Any:
        if script.has_form and isinstance(client, NativeScripts):
            return client.run_script(script, keys, arguments)
        return client.evalsha(script.sha, len(keys), *keys, *arguments)

    try:
        return (yield write(ask))
    except NoScriptError:
        whole = methodcaller("eval", script.text, len(keys), *keys, *arguments)
        return (yield write(whole))
