"""``limit_consumer``: rates on the connections and messages of a Channels consumer.

    @limit_consumer(connect="10/m", receive=["5/s", "100/m"], key="user_or_ip")
    class Chat(AsyncJsonWebsocketConsumer): ...

Over the limit a connection is refused before it is accepted (the client sees 403), and a message is
dropped; a consumer with a ``rate_limited(decision)`` method is told of that instead and may answer,
or close. Works on sync and async consumers, each in its own mode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured

from cacheapp.ratelimit.identity import ANONYMOUS
from cacheapp.ratelimit.limiter import Limiter
from cacheapp.ratelimit.rules import is_enabled, options, proxies

C = TypeVar("C", bound=type)
ScopeKey = Callable[[Mapping[str, Any]], str]

#: The close code of a connection that is refused: "try again later" (RFC 6455's registry).
CLOSE_CODE = 1013


def limit_consumer(
    *,
    connect: Any = None,
    receive: Any = None,
    key: Any = "user_or_ip",
    name: str | None = None,
    algorithm: str | None = None,
    on_failure: str | None = None,
) -> Callable[[C], C]:
    """Limit a consumer class: ``connect`` and ``receive`` are rates, or None for no limit.

    ``key`` is "ip", "user", "user_or_ip", "header:<name>" or a function of the scope. Raises
    ImproperlyConfigured at the first connection.
    """

    def decorate(consumer: C) -> C:
        found: Any = consumer
        whole_name = name or f"{found.__module__}.{found.__qualname__}"[-50:].lstrip("_.")

        @functools.cache
        def limiter(kind: str, rates: Any) -> Limiter:
            stated = options()
            return Limiter(
                f"{whole_name}.{kind}",
                list(rates) if isinstance(rates, tuple) else rates,
                algorithm=algorithm or stated["ALGORITHM"],
                alias=stated["CACHE"],
                on_failure=on_failure or stated["ON_FAILURE"],
                memo_seconds=stated["MEMO_SECONDS"],
            )

        identity = scope_key(key)
        for kind, rates in (("connect", connect), ("receive", receive)):
            if rates is not None:
                hashable = tuple(rates) if isinstance(rates, list) else rates
                _limit(found, kind, functools.partial(limiter, kind, hashable), identity)
        return consumer

    return decorate


def _limit(consumer: Any, kind: str, limiter: Callable[[], Limiter], identity: ScopeKey) -> None:
    handler = getattr(consumer, f"websocket_{kind}")
    refuse = _refused_connection if kind == "connect" else _dropped_message
    if iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def alimited(self: Any, message: Any) -> None:
            decision = await limiter().acheck(identity(self.scope)) if is_enabled() else None
            if decision is None or decision.allowed:
                await handler(self, message)
                return
            answer = refuse(self, decision)
            if isawaitable(answer):
                await answer

        setattr(consumer, f"websocket_{kind}", alimited)
    else:

        @functools.wraps(handler)
        def limited(self: Any, message: Any) -> None:
            decision = limiter().check(identity(self.scope)) if is_enabled() else None
            if decision is None or decision.allowed:
                handler(self, message)
            else:
                refuse(self, decision)

        setattr(consumer, f"websocket_{kind}", limited)


def _refused_connection(consumer: Any, _decision: Any) -> Any:
    return consumer.close(code=CLOSE_CODE)


def _dropped_message(consumer: Any, decision: Any) -> Any:
    tell = getattr(consumer, "rate_limited", None)
    return None if tell is None else tell(decision)


def scope_key(written: Any) -> ScopeKey:
    """Return the function from an ASGI scope to an identity. Raises ImproperlyConfigured."""
    if callable(written):
        return lambda scope: f"key:{written(scope)}"
    if written == "ip":
        return _address
    if written in ("user", "user_or_ip"):
        return functools.partial(_user, otherwise=None if written == "user" else _address)
    kind, _, name = str(written).partition(":")
    if kind == "header" and name:
        wanted = name.lower().encode()
        return lambda scope: (
            "header:"
            + b",".join(
                value for header, value in scope.get("headers", ()) if header.lower() == wanted
            ).decode("latin-1")
        )
    raise ImproperlyConfigured(
        f"key is {written!r}; for a consumer it is 'ip', 'user', 'user_or_ip', 'header:<name>' or "
        "a function of the scope"
    )


def _address(scope: Mapping[str, Any]) -> str:
    return f"ip:{proxies().of_scope(scope)}"


def _user(scope: Mapping[str, Any], otherwise: ScopeKey | None) -> str:
    user = scope.get("user")
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    return f"user:{ANONYMOUS}" if otherwise is None else otherwise(scope)
