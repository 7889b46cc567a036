"""System checks of the layers in CHANNEL_LAYERS that are ours: what cannot work, what surprises.

They read what is written, and make no layer. Left out on purpose: whether the server answers, which
is checked for aliases, and layers of other packages.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own names
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from cacheapp import conf
from cacheapp.channels.messages import Codec
from cacheapp.checks import nearest, our_aliases, worker_count
from cacheapp.clients import URLError, check_url

__all__ = ["check_layers"]

_HINT: Final = "See the table of CONFIG in docs/channels.md."


def check_layers(**_: Any) -> list[CheckMessage]:
    """Check CONFIG of each of our layers."""
    messages: list[CheckMessage] = []
    for alias, config in _our_layers():
        where = f"CHANNEL_LAYERS[{alias!r}]['CONFIG']"
        if not isinstance(config, Mapping):
            messages.append(Error(f"{where} must be a dict.", hint=_HINT, id="cacheapp.E060"))
            continue
        keys = _keys()
        messages += [
            Error(
                f"{where} has an unknown key {name!r}.",
                hint=nearest(name, keys),
                id="cacheapp.E060",
            )
            for name in config
            if name not in keys
        ]
        messages += [
            Error(f"{where}[{name!r}] is {config[name]!r}.", hint=hint, id="cacheapp.E061")
            for name, is_right, hint in _VALUES
            if name in config and not is_right(config[name])
        ]
        messages += _check_server(alias, where, config)
        messages += _check_encryption(where, config)
    return messages


def _our_layers() -> Iterator[tuple[str, Any]]:
    for alias, written in conf.channel_layers().items():
        try:
            backend = import_string(written.get("BACKEND", ""))
        except (AttributeError, ImportError):
            continue  # channels reports it when the layer is used
        from cacheapp.channels.layer import ChannelLayer

        if isinstance(backend, type) and issubclass(backend, ChannelLayer):
            yield alias, written.get("CONFIG", {})


def _keys() -> list[str]:
    from cacheapp.channels.layer import ChannelLayer

    return list(inspect.signature(ChannelLayer).parameters)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_seconds(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 < value < float("inf")


def _are_capacities(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(pattern, str | re.Pattern) and _is_count(capacity)
        for pattern, capacity in value.items()
    )


_VALUES: Final[tuple[tuple[str, Callable[[Any], bool], str], ...]] = (
    ("capacity", _is_count, "Give the number of messages that may wait in a channel, such as 100."),
    (
        "channel_capacity",
        _are_capacities,
        "Give a dict of globs or compiled expressions and numbers: {'http.request*': 200}.",
    ),
    ("expiry", _is_seconds, "Give the seconds that a message may wait, such as 60."),
    ("group_expiry", _is_seconds, "Give the seconds that a membership lasts, such as 86400."),
    ("group_history", _is_count, "Give the number of messages that a group keeps, such as 1000."),
    ("prefix", lambda value: isinstance(value, str), "Give the text before every key: 'asgi'."),
)


def _check_server(alias: str, where: str, config: Mapping[str, Any]) -> list[CheckMessage]:
    cache, url = config.get("cache"), config.get("url")
    if cache is not None and url is not None:
        return [
            Error(
                f"{where} has a cache and a url.",
                hint="Leave one of them out: both say which server it is.",
                id="cacheapp.E061",
            )
        ]
    if url is not None:
        return _check_url(alias, where, url)
    cache = "default" if cache is None else cache
    ours = [name for name, *_ in our_aliases()]
    if cache in ours:
        return []
    if cache in conf.caches():
        problem, hint = "whose BACKEND is not ours", "Its BACKEND must be cacheapp's CacheBackend."
    else:
        problem, hint = "which CACHES does not have", nearest(cache, ours) if ours else ""
    return [
        Error(
            f"{where} is on the alias {cache!r} of CACHES, {problem}.",
            hint=f"{hint} CONFIG['url'] names a server without an alias.".lstrip(),
            id="cacheapp.E062",
        )
    ]


def _check_url(alias: str, where: str, url: Any) -> list[CheckMessage]:
    try:
        if not isinstance(url, str):
            raise URLError("it must be text")
        check_url(url)
    except URLError as error:
        return [
            Error(
                f"{where}['url']: {error}",
                hint="docs/url.md lists schemes and options.",
                id="cacheapp.E063",
            )
        ]
    workers = worker_count()
    if not url.startswith("memory://") or workers <= 1:
        return []
    return [
        Warning(
            f"CHANNEL_LAYERS[{alias!r}] is an engine inside each process, and {workers} worker "
            "processes are configured: what one sends the others do not receive.",
            hint="Use a redis:// URL, or run one process.",
            id="cacheapp.W060",
        )
    ]


def _check_encryption(where: str, config: Mapping[str, Any]) -> list[CheckMessage]:
    keys: Any = config.get("symmetric_encryption_keys")
    try:
        if keys and not isinstance(keys, str | bytes):
            if not all(isinstance(key, str | bytes) and key for key in keys):
                raise ImproperlyConfigured("symmetric_encryption_keys has a key that is no text")
            keys = list(keys)
        Codec(keys)
    except (ImproperlyConfigured, TypeError) as error:
        return [
            Error(
                f"{where}: {error}.",
                hint="Give a list of secret texts, the one that encrypts first, and install "
                "cacheapp[encryption].",
                id="cacheapp.E064",
            )
        ]
    return []
