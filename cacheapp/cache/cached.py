"""``@cached``: a function whose results stand in a cache, computed as ``get_or_set`` computes.

The key is what ``key`` says: a format string over the function's arguments, or a function of
them. Without one it is made of the function's name and its arguments, which then must be plain
values whose text tells them apart; anything else (a model, a request, ``self``) is refused with
the advice to give ``key``, since nobody can know what makes two such objects the same.

A coroutine function is cached by ``aget_or_set``, any other by ``get_or_set``.

Left out on purpose: caching by default every argument's ``repr``. Addresses of objects in keys
are misses for ever, or worse, hits on another object.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from cacheapp.cache.aside import make_plan

F = TypeVar("F", bound=Callable[..., Any])
Key = str | Callable[..., str]
Tags = Iterable[Any] | Callable[..., Iterable[Any]]

#: What stands in an automatic key as it is. bool and None are told from 1 and "None" by repr().
_PLAIN: Final = (str, bytes, int, float, bool, type(None))


def cached(
    timeout: Any = DEFAULT_TIMEOUT,
    *,
    key: Key | None = None,
    alias: str = "default",
    version: Any = None,
    tags: Tags = (),
    **options: Any,
) -> Callable[[F], F]:
    """Return a decorator that caches a function's results for ``timeout`` seconds.

    ``key`` is a format string over the function's arguments by name (``"user:{user_id}"``), or a
    function that takes what the function takes and returns the key. ``tags`` are a list of such
    strings, or such a function. ``options`` are get_or_set()'s: ``stale_ttl``, ``early``,
    ``jitter``, ``lease``, ``wait``. Raises TypeError and ValueError for those that cannot be.

    The function gets ``cache_key(…)``, the key of a call; ``invalidate(…)``, which deletes that
    call's result; ``ainvalidate(…)``, the same natively asynchronous; and ``__wrapped__``.
    """
    make_plan(None, None, **options)  # wrong options are to be seen at import
    if not (key is None or isinstance(key, str) or callable(key)):
        raise TypeError(f"key must be a format string or a function, not {key!r}")

    def decorate(function: F) -> F:
        call = _Call(function, key, tags)

        def asked(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
            cache_key, arguments = call.key(args, kwargs)
            compute = functools.partial(function, *args, **kwargs)
            extras = call.options(options, args, kwargs, arguments)
            return (cache_key, compute, timeout, version), extras

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            positional, extras = asked(args, kwargs)
            return caches[alias].get_or_set(*positional, **extras)

        @functools.wraps(function)
        async def awrapper(*args: Any, **kwargs: Any) -> Any:
            positional, extras = asked(args, kwargs)
            return await caches[alias].aget_or_set(*positional, **extras)

        def cache_key(*args: Any, **kwargs: Any) -> str:
            """Return the key under which the result of this call stands."""
            return call.key(args, kwargs)[0]

        def invalidate(*args: Any, **kwargs: Any) -> bool:
            """Delete the result of this call. False if there was none."""
            return caches[alias].delete(cache_key(*args, **kwargs), version)

        async def ainvalidate(*args: Any, **kwargs: Any) -> bool:
            """See invalidate()."""
            return await caches[alias].adelete(cache_key(*args, **kwargs), version)

        made: Any = awrapper if inspect.iscoroutinefunction(function) else wrapper
        made.cache_key, made.invalidate, made.ainvalidate = cache_key, invalidate, ainvalidate
        return made

    return decorate


class _Call:
    """How the calls of one function become keys and tags."""

    def __init__(self, function: Callable[..., Any], key: Key | None, tags: Tags) -> None:
        own_name = getattr(function, "__qualname__", "<none>")
        if key is None and own_name.endswith(">"):
            raise TypeError(f"{function!r} has no name to make a key of, so give key=")
        self._name = f"{function.__module__}.{own_name}"
        self._signature = inspect.signature(function)
        self._key = key
        if isinstance(tags, str):
            raise TypeError(f"tags must be a list of tags, not the text {tags!r}: write [{tags!r}]")
        self._tags = tags if callable(tags) else list(tags)
        #: Whether the arguments have to be bound to their names to make a key or a tag.
        self._binds = not callable(key) or not callable(tags)

    def key(self, args: Any, kwargs: Any) -> tuple[str, dict[str, Any]]:
        """Return the key of a call, and its arguments by name. Raises TypeError as the call."""
        arguments: dict[str, Any] = {}
        if self._binds:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            arguments = bound.arguments
        if callable(self._key):
            return str(self._key(*args, **kwargs)), arguments
        if self._key is not None:
            return self._key.format(**arguments), arguments
        return self._automatic(arguments), arguments

    def options(
        self, options: dict[str, Any], args: Any, kwargs: Any, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Return get_or_set()'s keyword arguments for a call."""
        if callable(self._tags):
            return {**options, "tags": self._tags(*args, **kwargs)}
        if not self._tags:
            return options
        return {**options, "tags": [str(tag).format(**arguments) for tag in self._tags]}

    def _automatic(self, arguments: dict[str, Any]) -> str:
        text = ",".join(f"{name}={self._text(name, value)}" for name, value in arguments.items())
        digest = hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16)
        return f"cached:{self._name}:{digest.hexdigest()}".replace("<locals>.", "")

    def _text(self, name: str, value: Any) -> str:
        kind = type(value)
        if kind in _PLAIN:
            return repr(value)
        if kind in (tuple, list):
            return f"{kind.__name__}({','.join(self._text(name, item) for item in value)})"
        if kind is dict:
            pairs = sorted(
                (self._text(name, inner), self._text(name, item)) for inner, item in value.items()
            )
            return repr(pairs)
        raise TypeError(
            f"The argument {name!r} of {self._name} is a {kind.__name__}, of which @cached cannot "
            f"make a key: give key=, such as key='{self._name.rpartition('.')[2]}:{{{name}.pk}}'"
        )
