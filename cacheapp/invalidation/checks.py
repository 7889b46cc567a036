"""System checks of NEAR_CACHE and ANNOUNCE: what cannot work, what does less than one thinks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own names
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import module_has_submodule

from cacheapp import conf
from cacheapp.cache.near import NearOptions, announces
from cacheapp.channels.consumers import InvalidationConsumer
from cacheapp.checks import nearest, our_aliases, servers_of

_HINT = "See docs/nearcache.md."


def check_near_caches(**_: Any) -> list[CheckMessage]:
    """Check what announces writes, and that aliases of the same keys agree about it."""
    messages: list[CheckMessage] = []
    announcing: dict[tuple[str, str], list[str]] = {}
    carried: dict[tuple[str, str], dict[Any, str]] = {}
    silent: dict[tuple[str, str], list[str]] = {}
    for alias, written, options in our_aliases():
        keys = (servers_of(written.get("LOCATION") or "")[0], str(written.get("KEY_PREFIX", "")))
        messages += _check_options(alias, options) or _check_outages(alias, options)
        has_near = options.get("NEAR_CACHE") is not None
        if has_near and _is_in_process(written):
            messages.append(
                Warning(
                    f"CACHES[{alias!r}] has a NEAR_CACHE before an engine in the same process, "
                    "which ignores it.",
                    hint="Leave it out: the engine answers as fast as a near cache would.",
                    id="cacheapp.W030",
                )
            )
        if _is_announcing(written, options):
            announcing.setdefault(keys, []).append(alias)
            near = options.get("NEAR_CACHE")
            layer = near.get("channel_layer") if isinstance(near, Mapping) else None
            carried.setdefault(keys, {}).setdefault(repr(layer), alias)
        elif not has_near:
            silent.setdefault(keys, []).append(alias)
    for keys, aliases in announcing.items():
        messages += [
            Warning(
                f"CACHES[{mute!r}] writes the same keys as CACHES[{aliases[0]!r}] and announces "
                "nothing, so nobody hears of its writes.",
                hint="Set OPTIONS['ANNOUNCE'] to True, which announces and keeps no copies.",
                id="cacheapp.W031",
            )
            for mute in silent.get(keys, [])
        ]
    for by_layer in carried.values():
        if len(by_layer) > 1:
            first, second = list(by_layer.values())[:2]
            messages.append(
                Warning(
                    f"CACHES[{first!r}] and CACHES[{second!r}] write the same keys, and their "
                    "messages go different ways, so neither hears of the other's writes.",
                    hint="Give both NEAR_CACHE the same channel_layer, or none.",
                    id="cacheapp.W033",
                )
            )
    return messages


def _check_outages(alias: str, options: Mapping[str, Any]) -> list[CheckMessage]:
    degrades = conf.django_redis_setting("IGNORE_EXCEPTIONS", False)
    if not (options.get("NEAR_CACHE") or {}).get("stale_in_outage") or options.get(
        "IGNORE_EXCEPTIONS", degrades
    ):
        return []
    return [
        Warning(
            f"CACHES[{alias!r}]: NEAR_CACHE has a stale_in_outage, and an outage raises.",
            hint="Set OPTIONS['IGNORE_EXCEPTIONS'] to True, or leave stale_in_outage out.",
            id="cacheapp.W032",
        )
    ]


def _is_in_process(written: Mapping[str, Any]) -> bool:
    servers = servers_of(written.get("LOCATION") or "")
    return all(url.startswith("memory://") for url in servers)


def _is_announcing(written: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    has_near = options.get("NEAR_CACHE") is not None and not _is_in_process(written)
    return bool(options.get("ANNOUNCE")) or has_near


def _check_options(alias: str, options: Mapping[str, Any]) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    try:
        found = NearOptions.of(options)
    except ImproperlyConfigured as error:
        number = "cacheapp.E031" if isinstance(options["NEAR_CACHE"], Mapping) else "cacheapp.E030"
        return [Error(f"CACHES[{alias!r}]: {error}", hint=_HINT, id=number)]
    try:
        announces(options)
    except ImproperlyConfigured as error:
        messages.append(Error(f"CACHES[{alias!r}]: {error}", hint=_HINT, id="cacheapp.E033"))
    layer = None if found is None else found.channel_layer
    layers = conf.channel_layers()
    if layer is None or layer in layers:
        return messages
    return [
        *messages,
        Error(
            f"CACHES[{alias!r}]: NEAR_CACHE['channel_layer'] is {layer!r}, which CHANNEL_LAYERS "
            "does not have.",
            hint=f"{nearest(layer, layers)} Without it the alias's own server carries the messages."
            if layers
            else "Leave it out: the alias's own server carries the messages.",
            id="cacheapp.E032",
        ),
    ]


def check_consumers(**_: Any) -> list[CheckMessage]:
    """Check that the caches which consumers watch announce their writes.

    Knows the consumers in the ``consumers`` modules of the apps, and those that are loaded.
    """
    for app in apps.get_app_configs():
        if app.module is not None and module_has_submodule(app.module, "consumers"):
            # Another package's may need what is not installed, and is told when it is used.
            with contextlib.suppress(ImportError):
                import_module(f"{app.name}.consumers")
    announcing = {
        alias for alias, written, options in our_aliases() if _is_announcing(written, options)
    }
    return [
        Error(
            f"{consumer.__module__}.{consumer.__qualname__} watches CACHES"
            f"[{consumer.cache_alias!r}], which does not announce its writes.",
            hint=f"Set OPTIONS['ANNOUNCE'] of CACHES[{consumer.cache_alias!r}] to True, or name "
            "another alias in cache_alias.",
            id="cacheapp.E034",
        )
        for consumer in _derived(InvalidationConsumer)
        if consumer.cache_alias not in announcing
    ]


def _derived(kind: type[InvalidationConsumer]) -> Iterator[type[InvalidationConsumer]]:
    for each in kind.__subclasses__():
        yield each
        yield from _derived(each)
