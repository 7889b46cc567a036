"""System checks of write-behind queues: where they are, and whether a worker can see them."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own names
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules

from cacheapp.cache.writebehind import queues


def check_writebehind(**_: Any) -> list[CheckMessage]:
    """Check every queue that an app makes. Opens no connection."""
    autodiscover_modules("writebehind")
    messages: list[CheckMessage] = []
    for name, queue in sorted(queues.items()):
        try:
            in_process = queue.server.in_process
        except (ImproperlyConfigured, ImportError, TypeError, ValueError) as error:
            messages.append(
                Error(
                    f"WriteBehind {name!r}: {error}",
                    hint="Its alias= names a cache whose BACKEND is cacheapp.cache.CacheBackend.",
                    id="cacheapp.E050",
                )
            )
            continue
        if in_process:
            messages.append(
                Warning(
                    f"WriteBehind {name!r} is on an engine inside each process: no worker sees "
                    "what another process appends, and it is gone with the process.",
                    hint="Use a redis:// URL, of `manage.py cacheapp_server` or of a real Redis.",
                    id="cacheapp.W050",
                )
            )
    return messages
