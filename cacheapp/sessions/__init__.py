"""``SESSION_ENGINE = "cacheapp.sessions"``: sessions that hold under concurrent requests.

Django looks for ``SessionStore`` here. ``sessions_of``, ``revoke`` and ``revoke_all`` are for pages
and code that show and end a user's sessions.
"""

from cacheapp.sessions.store import SessionStore
from cacheapp.sessions.users import (
    SessionInfo,
    arevoke,
    arevoke_all,
    asessions_of,
    revoke,
    revoke_all,
    sessions_of,
)

__all__ = [
    "SessionInfo",
    "SessionStore",
    "arevoke",
    "arevoke_all",
    "asessions_of",
    "revoke",
    "revoke_all",
    "sessions_of",
]
