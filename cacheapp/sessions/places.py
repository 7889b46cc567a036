"""Where sessions stand on the server, and who seals them: ``state()``, looked up once a request.

All that follows from the settings is gathered in one object, made at the first use and again when a
setting changed, since every load and save needs most of it.
"""

from __future__ import annotations

from typing import Any, Final

from django.core.signals import setting_changed
from django.dispatch import receiver

from cacheapp import conf
from cacheapp.cache.servers import Server, server_of
from cacheapp.sessions.coder import Coder
from cacheapp.sessions.crypto import Sealer
from cacheapp.sessions.settings import SessionSettings, session_settings

#: Session keys whose place on the server a process keeps in mind.
_KEYS_KEPT: Final = 1024


class State:
    """The server of sessions, their sealer and serializer, and the settings."""

    def __init__(self) -> None:
        self.settings: SessionSettings = session_settings()
        self.server: Server = server_of(self.settings.alias)
        self.sealer = Sealer(conf.secret_keys(), encrypts=self.settings.encrypts)
        self.serializer: Any = conf.session_serializer()
        self.coder = Coder(self.sealer, self.serializer)
        settings = self.settings
        #: Whether a load is no more than to ask the server, once.
        self.loads_plainly = not (self.sealer.has_fallbacks or settings.reads_elsewhere)
        #: Whether a save may be no more than to set fields, in this process.
        self.saves_plainly = (
            self.loads_plainly and self.server.in_process and settings.lifetime_s is None
        )
        self.seen_ms = settings.seen_s * 1000
        #: What the keys of sessions begin with.
        self.head = f"{self.server.prefix}:session:".encode()
        self._names: dict[str, str] = {}
        #: Keys on the server by session key, made by `key_of`.
        self.keys: dict[str, bytes] = {}

    def key_of(self, session_key: str) -> bytes:
        """Return the server's key of a session."""
        key = self.key(self.name(session_key))
        if len(self.keys) >= _KEYS_KEPT:
            self.keys.clear()
        self.keys[session_key] = key
        return key

    def name(self, session_key: str) -> str:
        """Return the name in the store of ``session_key``: a hash of it."""
        name = self._names.get(session_key)
        if name is None:
            if len(self._names) >= _KEYS_KEPT:
                self._names.clear()
            name = self._names[session_key] = self.sealer.hashes(session_key)[0]
        return name

    def key(self, name: str) -> bytes:
        """Return the server's key of the session called ``name``."""
        return self.head + name.encode()

    def index_key(self, user_id: str) -> bytes:
        """Return the key of the sorted set of a user's sessions."""
        return f"{self.server.prefix}:session-user:{self.sealer.hidden(user_id)}".encode()


_state: State | None = None


def state() -> State:
    """Return the process's state. Raises ImproperlyConfigured."""
    global _state  # noqa: PLW0603 - one for the process, as there is one SESSION_ENGINE
    found = _state
    if found is None:
        found = _state = State()
    return found


@receiver(setting_changed, dispatch_uid="cacheapp.sessions.places")
def _forget(*, setting: str, **_: Any) -> None:
    global _state  # noqa: PLW0603
    if setting in {
        "CACHEAPP",
        "CACHES",
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
    } or setting.startswith("SESSION_"):
        _state = None
