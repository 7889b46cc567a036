"""``CACHEAPP["SESSIONS"]``: the defaults, and the settings as the store reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from cacheapp import conf

#: Each with its reason in docs/sessions.md.
DEFAULTS: Final[Mapping[str, Any]] = {
    "CACHE": None,
    "ENCRYPT": False,
    "LIFETIME": None,
    "MAX_PER_USER": 0,
    "SEEN_SECONDS": 300,
    "KEEP_ADDRESS": True,
    "KEEP_USER_AGENT": True,
    "DATABASE": False,
    "MIGRATE_FROM": None,
}


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """The settings, verified."""

    alias: str
    encrypts: bool
    #: Seconds that a session may last in all, or None.
    lifetime_s: int | None
    max_per_user: int
    seen_s: int
    keeps_address: bool
    keeps_user_agent: bool
    writes_database: bool
    migrates_from: str | None

    @property
    def reads_elsewhere(self) -> bool:
        """Whether a session that the server does not know may be known elsewhere."""
        return self.writes_database or self.migrates_from is not None


@lru_cache(maxsize=1)
def session_settings() -> SessionSettings:
    """Return the settings. Raises ImproperlyConfigured for what cannot be."""
    stated = conf.config()["SESSIONS"]
    if not isinstance(stated, Mapping):
        raise ImproperlyConfigured("CACHEAPP['SESSIONS'] must be a dict")
    unknown = sorted(set(stated) - set(DEFAULTS))
    if unknown:
        raise ImproperlyConfigured(
            f"CACHEAPP['SESSIONS'] has an unknown key {unknown[0]!r}; known are "
            f"{', '.join(DEFAULTS)}"
        )
    written = {**DEFAULTS, **stated}
    for name in ("ENCRYPT", "KEEP_ADDRESS", "KEEP_USER_AGENT", "DATABASE"):
        if not isinstance(written[name], bool):
            raise ImproperlyConfigured(f"CACHEAPP['SESSIONS'][{name!r}] is True or False")
    lifetime = written["LIFETIME"]
    if lifetime is not None and (type(lifetime) is not int or lifetime <= 0):
        raise ImproperlyConfigured("CACHEAPP['SESSIONS']['LIFETIME'] is seconds, or None")
    for name, least in (("MAX_PER_USER", 0), ("SEEN_SECONDS", 1)):
        if type(written[name]) is not int or written[name] < least:
            raise ImproperlyConfigured(f"CACHEAPP['SESSIONS'][{name!r}] is a number from {least}")
    old = written["MIGRATE_FROM"]
    if old is not None and not isinstance(old, str):
        raise ImproperlyConfigured(
            "CACHEAPP['SESSIONS']['MIGRATE_FROM'] is the SESSION_ENGINE that was used before"
        )
    return SessionSettings(
        alias=written["CACHE"] or conf.session_cache_alias(),
        encrypts=written["ENCRYPT"],
        lifetime_s=lifetime,
        max_per_user=written["MAX_PER_USER"],
        seen_s=written["SEEN_SECONDS"],
        keeps_address=written["KEEP_ADDRESS"],
        keeps_user_agent=written["KEEP_USER_AGENT"],
        writes_database=written["DATABASE"],
        migrates_from=old,
    )


@receiver(setting_changed, dispatch_uid="cacheapp.sessions.settings")
def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"CACHEAPP", "SESSION_CACHE_ALIAS"}:
        session_settings.cache_clear()
