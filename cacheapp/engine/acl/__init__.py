"""Access control: who may run which command on which keys and channels, as in Redis 7.0.

`rules` reads what SETUSER takes into a `User` with its `Selector`s, `describing` prints them back,
`files` keeps them on disk, `checks` compares them with a command, `log` remembers what was refused,
and `control` holds the users of an engine and applies all this to its sessions.
"""

from __future__ import annotations

from cacheapp.engine.acl.checks import Denial, Reason, check, reads_any_key
from cacheapp.engine.acl.control import AccessControl
from cacheapp.engine.acl.selectors import Selector
from cacheapp.engine.acl.users import User

__all__ = ["AccessControl", "Denial", "Reason", "Selector", "User", "check", "reads_any_key"]
