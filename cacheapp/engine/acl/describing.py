"""What ACL LIST, GETUSER and the ACL file say of a user: the shortest rules that give the same.

Redis does not keep the rules that somebody typed. It says which commands are allowed by starting
from all or none, taking the categories that fit best one after the other, and mending the rest
command by command; so does this, and files and replies compare.
"""

from __future__ import annotations

from cacheapp.engine.acl.selectors import CATEGORIES, READ, WRITE, Selector, every_command, members
from cacheapp.engine.acl.users import User

_SIGNS = {READ | WRITE: b"~", READ: b"%R~", WRITE: b"%W~"}


def describe_commands(selector: Selector) -> bytes:
    """The rules on commands: `+@all` or `-@all`, then what differs from it."""
    adding = not selector.future
    built = Selector()
    built.set_all(allowed=not adding)
    rules = [b"-@all" if adding else b"+@all"]
    left = Selector()
    left.commands = set(selector.commands)
    unused = list(CATEGORIES)
    while (best := _best_category(left, unused, adding)) is not None:
        unused.remove(best)
        built.set_category(best, allowed=adding)
        left.set_category(best, allowed=not adding)
        rules.append((b"+@" if adding else b"-@") + best.encode())
    for row in every_command():
        allowed = row in selector.commands
        name = row.display.encode()
        if allowed != (row in built.commands):
            rules.append((b"+" if allowed else b"-") + name)
            built.set_command(row, allowed=allowed)
        if not allowed:
            rules += [b"+%b|%b" % (name, word) for word in selector.first_words.get(row, ())]
    return b" ".join(rules)


def _best_category(left: Selector, unused: list[str], adding: bool) -> str | None:
    """The category that agrees in most of its commands and differs in the fewest, or None."""
    best, least, most = None, 0, 0
    for category in unused:
        rows = members(category)
        allowed = sum(row in left.commands for row in rows)
        same = allowed if adding else len(rows) - allowed
        differ = len(rows) - same
        if same <= differ:
            continue
        if best is None or differ < least or (differ == least and same > most):
            best, least, most = category, differ, same
    return best


def describe_keys(selector: Selector) -> bytes:
    """The rules on keys; empty where none may be touched."""
    if selector.all_keys:
        return b"~*"
    return b" ".join(_SIGNS[access] + pattern for pattern, access in selector.patterns.items())


def describe_channels(selector: Selector) -> bytes:
    """The rules on channels; empty where none may be used."""
    if selector.all_channels:
        return b"&*"
    return b" ".join(b"&" + pattern for pattern in selector.channels)


def flags_of(user: User) -> list[bytes]:
    """The words for what a user is, in Redis's order."""
    flags = [b"on" if user.enabled else b"off"]
    if not user.needs_password:
        flags.append(b"nopass")
    if user.sanitizes is not None:
        flags.append(b"sanitize-payload" if user.sanitizes else b"skip-sanitize-payload")
    return flags


def describe_user(user: User) -> bytes:
    """A line of the ACL file: `user <name>` and the rules that make the user."""
    own, *others = user.selectors
    parts = [b"user", user.name, *flags_of(user)]
    parts += [b"#" + digest for digest in user.passwords]
    parts.append(_describe_selector(own))
    parts += [b"(" + _describe_selector(other) + b")" for other in others]
    return b" ".join(parts)


def _describe_selector(selector: Selector) -> bytes:
    channels = describe_channels(selector)
    if not selector.all_channels:
        channels = b"resetchannels " + channels if channels else b"resetchannels"
    parts = (describe_keys(selector), channels, describe_commands(selector))
    return b" ".join(part for part in parts if part)
