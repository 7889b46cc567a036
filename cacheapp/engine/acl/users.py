"""A user: a name, passwords, whether they may log in, and what they may do.

Passwords are kept as SHA-256 in hexadecimal, which is what Redis writes to its ACL file, and are
compared in constant time. Salts and slow hashes are left out on purpose: files and replies would
no longer be Redis's, and AUTH would stop the engine for as long as they take.
"""

from __future__ import annotations

import hashlib
import hmac

from cacheapp.engine.acl.selectors import Selector

DEFAULT_USER = b"default"


def hashed(password: bytes) -> bytes:
    """The hexadecimal SHA-256 of a password."""
    return hashlib.sha256(password).hexdigest().encode()


class User:
    """One user. `selectors[0]` is the user's own; whoever changes one calls `settle`."""

    __slots__ = (
        "enabled", "name", "needs_password", "passwords", "restricted", "sanitizes", "selectors",
    )  # fmt: skip

    def __init__(self, name: bytes, *, all_channels: bool = False) -> None:
        self.name = name
        self.enabled = False
        self.needs_password = True
        # Whether RESTORE checks what it is given; None where no rule has said so.
        self.sanitizes: bool | None = None
        self.passwords: dict[bytes, None] = {}
        self.selectors = [Selector(all_channels=all_channels)]
        self.restricted = True

    def settle(self) -> None:
        """Recompute `restricted`: whether any command can be refused to the user at all."""
        self.restricted = not any(selector.allows_everything for selector in self.selectors)

    @property
    def lets_anybody_in(self) -> bool:
        """Whether a login as this user succeeds with any password."""
        return self.enabled and not self.needs_password

    def accepts(self, password: bytes) -> bool:
        """Whether a login with this password succeeds."""
        if not self.enabled:
            return False
        if not self.needs_password:
            return True
        digest = hashed(password)
        matches = [hmac.compare_digest(digest, known) for known in self.passwords]
        return any(matches)

    def set_password(self, password: bytes | None) -> None:
        """Make this the only password; None: none is needed."""
        self.passwords = {} if password is None else {hashed(password): None}
        self.needs_password = password is not None

    def become(self, other: User) -> None:
        """Take over everything of `other` but the name."""
        self.enabled = other.enabled
        self.needs_password = other.needs_password
        self.sanitizes = other.sanitizes
        self.passwords = dict(other.passwords)
        self.selectors = [selector.copy() for selector in other.selectors]
        self.restricted = other.restricted


def default_user() -> User:
    """The user that every session has until it logs in, as a server without settings has it."""
    user = User(DEFAULT_USER, all_channels=True)
    user.enabled = True
    user.needs_password = False
    user.selectors[0].set_all(allowed=True)
    user.selectors[0].all_keys = True
    user.settle()
    return user
