"""Sessions outside the server: a copy in the database, and the engine that was used before.

With DATABASE each save also writes Django's session table, under the session's name, and a session
that the server lost (a flush, an eviction) comes back from there. With MIGRATE_FROM a session that
the server does not know is looked for in another SESSION_ENGINE, taken over under its key, and
deleted there, so that nobody has to log in again.

Left out on purpose: native asynchronous database access. Django's own is a thread hop, and these
are paths for a flush and for a few weeks.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from cacheapp.sessions.settings import session_settings

if TYPE_CHECKING:
    from cacheapp.sessions.store import SessionStore

_DATABASE_ENGINE = "django.contrib.sessions.backends.db"


def load(session: SessionStore) -> dict[str, Any] | None:
    """Return what the database or the former engine has under the session's key, or None."""
    assert session.session_key is not None
    settings = session_settings()
    if settings.writes_database:
        now, name = timezone.now(), session.store_name()
        row = _rows().filter(session_key=name, expire_date__gt=now).first()
        if row is not None:
            return session.decode(row.session_data)
    if settings.migrates_from is None:
        return None
    former = _former(session.session_key)
    data: dict[str, Any] = former.load()
    return data or None


async def aload(session: SessionStore) -> dict[str, Any] | None:
    """See load()."""
    return await sync_to_async(load)(session)


def forget(session: SessionStore) -> None:
    """Delete the session from the former engine: it is ours now."""
    if session_settings().migrates_from is not None:
        _former(session.session_key).delete()


async def aforget(session: SessionStore) -> None:
    """See forget()."""
    if session_settings().migrates_from is not None:
        await sync_to_async(forget)(session)


def write(session: SessionStore) -> None:
    """Write the session's row."""
    data = dict(session._fields().items())
    _rows().update_or_create(
        session_key=session.store_name(),
        defaults={
            "session_data": session.encode(data),
            "expire_date": session.get_expiry_date(),
        },
    )


async def awrite(session: SessionStore) -> None:
    """See write()."""
    await sync_to_async(write)(session)


def ended(name: str) -> None:
    """Delete the row of the session called ``name``."""
    if session_settings().writes_database:
        _rows().filter(session_key=name).delete()


async def aended(name: str) -> None:
    """See ended()."""
    if session_settings().writes_database:
        await sync_to_async(ended)(name)


def _rows() -> Any:
    from django.contrib.sessions.models import Session

    return Session.objects


def _former(session_key: str | None) -> Any:
    engine = import_module(session_settings().migrates_from or _DATABASE_ENGINE)
    return engine.SessionStore(session_key)
