"""System checks of ``OPTIONS["NEAR_CACHE"]``: what cannot work, what does less than one thinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own names
from django.core.exceptions import ImproperlyConfigured

from cacheapp import conf
from cacheapp.cache.near import NearOptions
from cacheapp.checks import nearest, our_aliases, servers_of

_HINT = "See docs/nearcache.md."


def check_near_caches(**_: Any) -> list[CheckMessage]:
    """Check NEAR_CACHE of each alias, and that aliases of the same keys agree about it."""
    messages: list[CheckMessage] = []
    announcing: dict[tuple[str, str], list[str]] = {}
    silent: dict[tuple[str, str], list[str]] = {}
    for alias, written, options in our_aliases():
        servers = servers_of(written.get("LOCATION") or "")
        in_process = all(url.startswith("memory://") for url in servers)
        keys = (servers[0], str(written.get("KEY_PREFIX", "")))
        if options.get("NEAR_CACHE") is None:
            silent.setdefault(keys, []).append(alias)
            continue
        messages += _check_options(alias, options) or _check_outages(alias, options)
        if in_process:
            messages.append(
                Warning(
                    f"CACHES[{alias!r}] has a NEAR_CACHE before an engine in the same process, "
                    "which ignores it.",
                    hint="Leave it out: the engine answers as fast as a near cache would.",
                    id="cacheapp.W030",
                )
            )
        else:
            announcing.setdefault(keys, []).append(alias)
    for keys, aliases in announcing.items():
        messages += [
            Warning(
                f"CACHES[{mute!r}] writes the same keys as CACHES[{aliases[0]!r}] and has no "
                "NEAR_CACHE, so nobody hears of its writes.",
                hint="Give it a NEAR_CACHE with max_entries 0, which announces and keeps nothing.",
                id="cacheapp.W031",
            )
            for mute in silent.get(keys, [])
        ]
    return messages


def _check_outages(alias: str, options: Mapping[str, Any]) -> list[CheckMessage]:
    degrades = conf.django_redis_setting("IGNORE_EXCEPTIONS", False)
    if not options["NEAR_CACHE"].get("stale_in_outage") or options.get(
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


def _check_options(alias: str, options: Mapping[str, Any]) -> list[CheckMessage]:
    near = options["NEAR_CACHE"]
    is_value = isinstance(near, Mapping)
    try:
        found = NearOptions.of(options)
    except ImproperlyConfigured as error:
        number = "cacheapp.E031" if is_value else "cacheapp.E030"
        return [Error(f"CACHES[{alias!r}]: {error}", hint=_HINT, id=number)]
    layer = None if found is None else found.channel_layer
    layers = conf.channel_layers()
    if layer is None or layer in layers:
        return []
    return [
        Error(
            f"CACHES[{alias!r}]: NEAR_CACHE['channel_layer'] is {layer!r}, which CHANNEL_LAYERS "
            "does not have.",
            hint=f"{nearest(layer, layers)} Without it the alias's own server carries the messages."
            if layers
            else "Leave it out: the alias's own server carries the messages.",
            id="cacheapp.E032",
        )
    ]
