"""The demo's SECRET_KEY when nobody gives one: made once, kept in a private file.

Cached objects are signed with SECRET_KEY, so a key made anew at every start would turn everything
that a real Redis still holds into misses. Left out on purpose: rotation; a site with users sets its
own key.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def secret_key(path: Path) -> str:
    """The key kept in `path`; the first call makes the file (mode 0600) and its folder.

    Two processes that start together agree: the file appears whole or not at all, and whoever comes
    second reads the first one's. Raises OSError when the folder cannot be written.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
