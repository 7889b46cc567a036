"""The app: it registers the system checks. Nothing is opened when Django starts."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from django.apps import AppConfig
from django.core.checks import Tags, register

logger = logging.getLogger("cacheapp")


class CacheAppConfig(AppConfig):
    """``INSTALLED_APPS = ["cacheapp", ...]``."""

    name = "cacheapp"
    verbose_name = "Cache"

    def ready(self) -> None:
        """Register the checks, under Django's tag ``caches``."""
        from cacheapp import checks, conf
        from cacheapp.cache.checks import check_writebehind
        from cacheapp.invalidation.checks import check_consumers, check_near_caches
        from cacheapp.ratelimit.checks import check_ratelimit
        from cacheapp.sessions.checks import check_sessions

        parts = (
            *(check_ratelimit, check_sessions, check_writebehind),
            *(check_near_caches, check_consumers),
        )
        for check in (*checks.CHECKS, *parts):
            register(check, Tags.caches)
        if conf.channel_layers() and find_spec("channels") is not None:
            from cacheapp.channels.checks import check_layers

            register(check_layers, Tags.caches)
        if checks.is_web_server():
            # Such a server runs no checks, and is where this one matters.
            for message in (*checks.check_workers(), *checks.check_preload()):
                logger.warning("%s (%s) %s", message.msg, message.id, message.hint)
