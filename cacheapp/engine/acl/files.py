"""Users in a file, a line each, as Redis writes them; and users given on a command line.

A file is taken whole or not at all: every line that cannot be taken is named in one error, and the
users stay as they were. `engine.files` does the reading and writing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cacheapp.engine.acl.describing import describe_user
from cacheapp.engine.acl.rules import RuleError, UnclosedSelectorError, apply, has_spaces, merged
from cacheapp.engine.acl.users import User
from cacheapp.engine.errors import (
    ACL_BAD_USERNAME,
    ACL_DUPLICATE_USER,
    ACL_NOT_LOADED,
    ACL_NOT_SAVED,
    ACL_UNKNOWN_COMMAND,
    CommandError,
    ConfigError,
    text,
)

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine

_logger = logging.getLogger(__name__)
_BLANKS = b" \t\r\n"


def load(engine: Engine, path: str) -> dict[bytes, User]:
    """The users of a file by name; CommandError with everything that is wrong in it."""
    try:
        content = engine.files.read(path)
    except OSError as error:
        raise CommandError(
            f"ERR Error loading ACLs, opening file '{path}': {_reason(error)}"
        ) from None
    users: dict[bytes, User] = {}
    errors = ""
    for number, line in enumerate(content.split(b"\n"), 1):
        words = line.strip(_BLANKS).split(b" ")
        if words != [b""]:
            errors += _load_line(users, words, path, number, engine.acl.all_channels)
    if errors:
        raise CommandError(f"ERR {errors}{ACL_NOT_LOADED}")
    return users


def _load_line(
    users: dict[bytes, User], words: list[bytes], path: str, number: int, all_channels: bool
) -> str:
    """Add the user of a line to `users`; what is wrong with it, empty where nothing is."""
    place = f"{path}:{number}"
    if words[0] != b"user" or len(words) < 2:
        return f"{place} should start with user keyword followed by the username. "
    name = words[1]
    if has_spaces(name):
        return f"'{place}: username '{text(name)}' contains invalid characters. "
    if name in users:
        return f"WARNING: Duplicate user '{text(name)}' found on line {number}. "
    user = users[name] = User(name, all_channels=all_channels)
    try:
        rules = merged(words[2:])
    except UnclosedSelectorError:
        return f"{place}: Unmatched parenthesis in selector definition."
    errors, syntax_error = "", False
    for rule in rules:
        rule = rule.strip(_BLANKS)
        try:
            apply(user, rule, all_channels=all_channels)
        except RuleError as error:
            # Rules may hold passwords: only those that name a command are shown.
            if str(error) == ACL_UNKNOWN_COMMAND:
                errors += f"{place}: Error in applying operation '{text(rule)}': {error}. "
            elif not syntax_error:
                errors += f"{place}: {error}. "
                syntax_error = True
    return errors


def save(engine: Engine, path: str) -> None:
    """Write all users to a file, in one step; CommandError, and the reason in the log."""
    users = engine.acl.users
    lines = [describe_user(users[name]) + b"\n" for name in sorted(users)]
    try:
        engine.files.replace(path, b"".join(lines))
    except OSError as error:
        _logger.warning("ACL SAVE to %r failed: %s", path, _reason(error))
        raise CommandError(ACL_NOT_SAVED) from None


def defined(engine: Engine, definitions: Iterable[str]) -> dict[bytes, User]:
    """Users by name from definitions such as "alice on >secret ~* +@all".

    Raises ConfigError for a rule that cannot be taken, for a user that is defined twice, and beside
    an ACL file.
    """
    users: dict[bytes, User] = {}
    for definition in definitions:
        if engine.config["aclfile"]:
            raise ConfigError("give users or an aclfile, not both")
        name, *rules = definition.encode("utf-8", "surrogateescape").split() or [b""]
        if has_spaces(name) or not name:
            raise ConfigError(ACL_BAD_USERNAME.removeprefix("ERR "))
        if name in users:
            raise ConfigError(ACL_DUPLICATE_USER)
        user = users[name] = User(name, all_channels=engine.acl.all_channels)
        try:
            for rule in merged(rules):
                apply(user, rule, all_channels=engine.acl.all_channels)
        except UnclosedSelectorError as error:
            raise ConfigError(f"user {text(name)!r}: {text(error.rule)} is not closed") from None
        except RuleError as error:
            raise ConfigError(f"user {text(name)!r}: {error}") from None
    return users


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
