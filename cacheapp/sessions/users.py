"""A user's sessions: where they are logged in, and ending any of them, at once.

The index is a sorted set a user, of the names of sessions by when they end at the latest. It is
written with the session itself, and forgets with it: what is over goes by its score, what was
deleted when it is next looked at, and the whole by its own deadline. Names are hashes, so a page
may show them: they are no keys to anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from operator import methodcaller
from typing import Any, Final

from cacheapp.cache.steps import Steps, adrive, drive
from cacheapp.sessions import elsewhere, places
from cacheapp.sessions.meta import META_FIELD, Meta
from cacheapp.sessions.signals import session_revoked

#: Sessions of one user that are looked at: the most recent ones.
SESSIONS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session. ``id`` is what ``revoke`` takes; address and user agent as the settings keep."""

    id: str
    began: datetime
    seen: datetime
    address: str
    user_agent: str

    def is_of(self, session: Any) -> bool:
        """Whether it is ``session`` (a request's)."""
        return bool(session.session_key) and self.id == session_id(session)


def session_id(session: Any) -> str:
    """Return the id of a request's session."""
    name: str = places.state().name(session.session_key)
    return name


def _user_id(user: Any) -> str:
    """A user's id as sessions hold it; ``user`` may also be that."""
    meta = getattr(user, "_meta", None)
    return str(user) if meta is None else str(meta.pk.value_to_string(user))


def sessions_of(user: Any) -> list[SessionInfo]:
    """Return the sessions of ``user`` (or of a user's id), the one seen last first."""
    return _run(_sessions_of(_user_id(user)))


async def asessions_of(user: Any) -> list[SessionInfo]:
    """See sessions_of()."""
    return await _arun(_sessions_of(_user_id(user)))


def revoke(user: Any, id: str) -> bool:  # noqa: A002 - as SessionInfo calls it
    """End the session of ``user`` with this id. Returns whether there was one."""
    was_there = _run(_revoke(_user_id(user), [id])) == [id]
    if was_there:
        elsewhere.ended(id)
        session_revoked.send(SessionInfo, session_id=id, reason="revoked")
    return was_there


async def arevoke(user: Any, id: str) -> bool:  # noqa: A002
    """See revoke()."""
    was_there = await _arun(_revoke(_user_id(user), [id])) == [id]
    if was_there:
        await elsewhere.aended(id)
        await session_revoked.asend(SessionInfo, session_id=id, reason="revoked")
    return was_there


def revoke_all(user: Any, except_current: Any = None) -> int:
    """End all sessions of ``user``, but the request's session that is given. Returns how many."""
    ended = _run(_revoke_all(_user_id(user), except_current))
    for name in ended:
        elsewhere.ended(name)
        session_revoked.send(SessionInfo, session_id=name, reason="revoked")
    return len(ended)


async def arevoke_all(user: Any, except_current: Any = None) -> int:
    """See revoke_all()."""
    ended = await _arun(_revoke_all(_user_id(user), except_current))
    for name in ended:
        await elsewhere.aended(name)
        await session_revoked.asend(SessionInfo, session_id=name, reason="revoked")
    return len(ended)


# The steps


def _sessions_of(user_id: str) -> Steps[list[SessionInfo]]:
    state = places.state()
    index = state.index_key(user_id)
    names = yield lambda client: client.zrevrange(index, 0, SESSIONS_MAX - 1)
    if not names:
        return []
    keys = [state.head + name for name in names]

    def ask(client: Any) -> Any:
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.hget(key, META_FIELD)
        return pipeline.execute()

    found, over = [], []
    for name, key, raw in zip(names, keys, (yield ask), strict=True):
        meta = Meta.open(state.sealer, key, raw)
        if meta is None:
            over.append(name)
        else:
            found.append(_info(name.decode(), meta))
    if over:
        yield lambda client: client.zrem(index, *over)
    return sorted(found, key=lambda info: info.seen, reverse=True)


def _info(name: str, meta: Meta) -> SessionInfo:
    began = datetime.fromtimestamp(meta.created_ms / 1000, UTC)
    seen = datetime.fromtimestamp(meta.seen_ms / 1000, UTC)
    return SessionInfo(name, began, seen, meta.address, meta.user_agent)


def _revoke(user_id: str, names: list[str]) -> Steps[list[str]]:
    """End those of ``names`` that are in the user's index; the names of those that were there."""
    state = places.state()
    index = state.index_key(user_id)
    # First out of the index, so that nobody ends a session that is not this user's.
    theirs = []
    for name in names:
        theirs += [name] * (yield methodcaller("zrem", index, name))
    ended = []
    for name in theirs:
        ended += [name] * (yield methodcaller("delete", state.key(name)))
    return ended


def _revoke_all(user_id: str, except_current: Any) -> Steps[list[str]]:
    kept = None
    if except_current is not None and except_current.session_key:
        kept = session_id(except_current)
    index = places.state().index_key(user_id)
    names = yield lambda client: client.zrevrange(index, 0, -1)
    return (yield from _revoke(user_id, [name.decode() for name in names if name.decode() != kept]))


def _run(steps: Steps[Any]) -> Any:
    server = places.state().server
    return server.guard(drive, steps, server.client())


async def _arun(steps: Steps[Any]) -> Any:
    server = places.state().server
    if server.in_process:
        return server.guard(drive, steps, server.client())
    return await server.aguard(adrive(steps, server.async_client()))
