"""The settings reader: the only module of the package that looks at django.conf.settings.

Defaults stand in ``DEFAULTS``, each with its reason; a project overrides them in one dict,
``CACHEAPP``. What is read is kept until Django says that a setting changed. Nothing is validated
here: ``cacheapp.checks`` does that, so that a wrong setting is a numbered check with a hint and
not an exception at import. Left out on purpose: what belongs to one cache alias, which is said
in ``CACHES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        # Seconds that the system check waits for each server; 0 or None makes no connection.
        # A second is enough for a server worth using, and short enough for every `check`.
        "CHECK_TIMEOUT": 1.0,
        # Keys that one SCAN of clear(), delete_pattern(), keys() and iter_keys() looks at. A
        # thousand costs a server about a millisecond, so no other client waits noticeably.
        "SCAN_COUNT": 1000,
        # Sessions: their own dict, over the defaults in cacheapp.sessions.settings.
        "SESSIONS": MappingProxyType({}),
        # Rate limits: their own dict, over the defaults in cacheapp.ratelimit.rules.
        "RATELIMIT": MappingProxyType({}),
    }
)


@lru_cache(maxsize=1)
def config() -> Mapping[str, Any]:
    """Return ``DEFAULTS`` overridden by ``settings.CACHEAPP``; anything but a dict is ignored."""
    stated = getattr(settings, "CACHEAPP", None)
    merged = dict(DEFAULTS)
    if isinstance(stated, dict):
        merged.update(stated)
    return MappingProxyType(merged)


def stated() -> Any:
    """Return ``settings.CACHEAPP`` as the project wrote it, or an empty dict."""
    return getattr(settings, "CACHEAPP", {})


def caches() -> Mapping[str, Mapping[str, Any]]:
    """Return ``settings.CACHES`` as the project wrote it."""
    return settings.CACHES


def channel_layers() -> Mapping[str, Mapping[str, Any]]:
    """Return ``settings.CHANNEL_LAYERS`` as the project wrote it; {} where it did not."""
    written = getattr(settings, "CHANNEL_LAYERS", {})
    return written if isinstance(written, Mapping) else {}


@lru_cache(maxsize=1)
def secret_keys() -> tuple[str | bytes, ...]:
    """Return ``SECRET_KEY`` and after it ``SECRET_KEY_FALLBACKS``, the keys that still verify.

    Raises ImproperlyConfigured when SECRET_KEY is empty, as Django does.
    """
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


def django_redis_setting(name: str, default: Any) -> Any:
    """Return the setting ``DJANGO_REDIS_<name>``, which django-redis's users know."""
    return getattr(settings, f"DJANGO_REDIS_{name}", default)


def scan_count() -> int:
    """Return how many keys a SCAN looks at; DJANGO_REDIS_SCAN_ITERSIZE wins where it is set."""
    return int(django_redis_setting("SCAN_ITERSIZE", config()["SCAN_COUNT"]))


def session_engine() -> str:
    """Return ``SESSION_ENGINE``."""
    return str(settings.SESSION_ENGINE)


def middleware() -> list[str]:
    """Return ``MIDDLEWARE``."""
    return list(settings.MIDDLEWARE)


def has_app(name: str) -> bool:
    """Say whether the app called ``name`` is installed."""
    return apps.is_installed(name)


def session_cache_alias() -> str:
    """Return ``SESSION_CACHE_ALIAS``."""
    return str(settings.SESSION_CACHE_ALIAS)


def session_cookie_age() -> int:
    """Return ``SESSION_COOKIE_AGE``, in seconds."""
    return settings.SESSION_COOKIE_AGE


def saves_every_session() -> bool:
    """Return ``SESSION_SAVE_EVERY_REQUEST``."""
    return settings.SESSION_SAVE_EVERY_REQUEST


def session_cookie() -> dict[str, Any]:
    """Return the arguments of ``set_cookie`` that the SESSION_COOKIE settings give."""
    return {
        "key": settings.SESSION_COOKIE_NAME,
        "path": settings.SESSION_COOKIE_PATH,
        "domain": settings.SESSION_COOKIE_DOMAIN,
        "secure": settings.SESSION_COOKIE_SECURE,
        "httponly": settings.SESSION_COOKIE_HTTPONLY,
        "samesite": settings.SESSION_COOKIE_SAMESITE,
    }


@lru_cache(maxsize=1)
def session_serializer() -> Any:
    """Return an object of the class that ``SESSION_SERIALIZER`` names."""
    return import_string(settings.SESSION_SERIALIZER)()


def alias_of(location: Any, params: Mapping[str, Any]) -> str:
    """Return the alias in CACHES whose settings these are, or "" for none.

    Django tells a backend its settings but not its name. Aliases whose settings are equal in
    everything are one cache under two names, and get the first one's.
    """
    for alias, written in caches().items():
        if written.get("LOCATION", "") != location:
            continue
        rest = {name: value for name, value in written.items() if name != "LOCATION"}
        rest.pop("BACKEND", None)
        if rest == params:
            return alias
    return ""


@receiver(setting_changed, dispatch_uid="cacheapp.conf")
def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"CACHEAPP", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "SESSION_SERIALIZER"}:
        config.cache_clear()
        secret_keys.cache_clear()
        session_serializer.cache_clear()
