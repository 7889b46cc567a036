"""System checks of ``CACHEAPP["SESSIONS"]``, for sites whose SESSION_ENGINE is ours."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own names
from django.core.exceptions import ImproperlyConfigured

from cacheapp import conf
from cacheapp.sessions.settings import session_settings

ENGINE = "cacheapp.sessions"
MIDDLEWARE = "cacheapp.sessions.middleware.SessionMiddleware"
_SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"
_HINT = "See docs/sessions.md."


def check_sessions(**_: Any) -> list[CheckMessage]:
    """Check the settings of sessions."""
    try:
        settings = session_settings()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint=_HINT, id="cacheapp.E040")]
    if conf.session_engine() != ENGINE:
        return []
    # What follows makes the store's parts, and so imports them only where they are used.
    from cacheapp.sessions.places import State

    messages: list[CheckMessage] = []
    try:
        State()
    except (ImproperlyConfigured, ImportError) as error:
        messages.append(
            Error(
                f"SESSION_ENGINE {ENGINE!r}: {error}",
                hint="CACHEAPP['SESSIONS']['CACHE'] (or SESSION_CACHE_ALIAS) names an alias whose "
                "BACKEND is cacheapp.cache.CacheBackend; ENCRYPT needs cacheapp[encryption].",
                id="cacheapp.E041",
            )
        )
    if settings.migrates_from is not None:
        messages += _check_former(settings.migrates_from)
    if settings.writes_database and not conf.has_app("django.contrib.sessions"):
        messages.append(
            Error(
                "CACHEAPP['SESSIONS']['DATABASE'] needs Django's session table.",
                hint="Add django.contrib.sessions to INSTALLED_APPS, and migrate.",
                id="cacheapp.E043",
            )
        )
    if MIDDLEWARE not in conf.middleware():
        messages.append(
            Warning(
                "Sessions do not learn addresses and user agents, and an async stack runs them in "
                "a thread: MIDDLEWARE has Django's session middleware.",
                hint=f"Put {MIDDLEWARE!r} in its place.",
                id="cacheapp.W040",
            )
        )
    return messages


def _check_former(engine: str) -> list[CheckMessage]:
    if engine == _SIGNED_COOKIES:
        return [
            Error(
                "CACHEAPP['SESSIONS']['MIGRATE_FROM'] names sessions in signed cookies, which "
                "nobody can end: whoever kept such a cookie is signed in again after a logout.",
                hint="Take the setting away; users log in once more.",
                id="cacheapp.E042",
            )
        ]
    try:
        import_module(engine).SessionStore  # noqa: B018 - that it is there
    except (AttributeError, ImportError) as error:
        return [
            Error(
                f"CACHEAPP['SESSIONS']['MIGRATE_FROM'] is {engine!r}: {error}",
                hint="Name the SESSION_ENGINE that the site had before.",
                id="cacheapp.E042",
            )
        ]
    return []
