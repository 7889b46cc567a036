"""The rules of ACL SETUSER, one at a time: what each does to a user or to a selector.

A rule that cannot be taken raises RuleError; what came before it has been applied, so callers work
on a copy. Left out on purpose: quotes inside the parentheses of a selector, which could only hold
spaces, and patterns cannot have any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cacheapp.engine import registry
from cacheapp.engine.acl.selectors import CATEGORIES, READ, WRITE, Selector
from cacheapp.engine.acl.users import User, hashed
from cacheapp.engine.errors import (
    ACL_BAD_HASH,
    ACL_FIRST_ARGUMENT_OF_CHILD,
    ACL_NO_SUCH_PASSWORD,
    ACL_PATTERN_AFTER_ALL_CHANNELS,
    ACL_PATTERN_AFTER_ALL_KEYS,
    ACL_SYNTAX,
    ACL_UNKNOWN_COMMAND,
)

_SPACES_AND_NUL = frozenset(b" \t\n\v\f\r\0")
_HEXADECIMAL = frozenset(b"0123456789abcdef")
_HASH_LENGTH = 64
_ACCESSES = {ord("R"): READ, ord("W"): WRITE}


class RuleError(ValueError):
    """A rule that cannot be applied; `str` is Redis's reason."""


class UnclosedSelectorError(ValueError):
    """A parenthesis that no later rule closes; `rule` is the one that opens it."""

    def __init__(self, rule: bytes) -> None:
        super().__init__(rule)
        self.rule = rule


def has_spaces(text: bytes) -> bool:
    """Whether a name or pattern holds what could not be written to an ACL file."""
    return not _SPACES_AND_NUL.isdisjoint(text)


def merged(rules: Sequence[bytes]) -> list[bytes]:
    """The rules, with each selector that is spread over several of them as one."""
    whole: list[bytes] = []
    opened: list[bytes] = []
    for rule in rules:
        if opened:
            opened.append(rule)
            if rule.endswith(b")"):
                whole.append(b" ".join(opened))
                opened = []
        elif rule.startswith(b"(") and not rule.endswith(b")"):
            opened = [rule]
        else:
            whole.append(rule)
    if opened:
        raise UnclosedSelectorError(opened[0])
    return whole


# Rules of a user


def _reset(user: User, all_channels: bool) -> None:
    blank = User(user.name, all_channels=all_channels)
    blank.sanitizes = True
    user.become(blank)


def _no_password(user: User) -> None:
    user.passwords.clear()
    user.needs_password = False


def _reset_passwords(user: User) -> None:
    user.passwords.clear()
    user.needs_password = True


def _clear_selectors(user: User) -> None:
    del user.selectors[1:]


def _add_password(user: User, rule: bytes) -> None:
    user.passwords[_digest(rule)] = None
    user.needs_password = True


def _remove_password(user: User, rule: bytes) -> None:
    digest = _digest(rule)
    if digest not in user.passwords:
        raise RuleError(ACL_NO_SUCH_PASSWORD)
    del user.passwords[digest]


def _digest(rule: bytes) -> bytes:
    """The hash that `>password` and `<password` mean, or `#hash` and `!hash` name."""
    if rule[:1] in (b">", b"<"):
        return hashed(rule[1:])
    if len(rule) != _HASH_LENGTH + 1 or not _HEXADECIMAL.issuperset(rule[1:]):
        raise RuleError(ACL_BAD_HASH)
    return rule[1:]


_USER_WORDS: dict[bytes, Callable[[User], object]] = {
    b"on": lambda user: setattr(user, "enabled", True),
    b"off": lambda user: setattr(user, "enabled", False),
    b"sanitize-payload": lambda user: setattr(user, "sanitizes", True),
    b"skip-sanitize-payload": lambda user: setattr(user, "sanitizes", False),
    b"nopass": _no_password,
    b"resetpass": _reset_passwords,
    b"clearselectors": _clear_selectors,
}
_USER_SIGNS: dict[bytes, Callable[[User, bytes], None]] = {
    b">": _add_password,
    b"#": _add_password,
    b"<": _remove_password,
    b"!": _remove_password,
}


def apply(user: User, rule: bytes, *, all_channels: bool) -> None:
    """Apply one rule to a user.

    `all_channels` is what new selectors and `reset` have (acl-pubsub-default). Raises RuleError.
    """
    word, sign = _word(rule), rule[:1]
    if not rule:
        return
    if word in _USER_WORDS:
        _USER_WORDS[word](user)
    elif word == b"reset":
        _reset(user, all_channels)
    elif sign in _USER_SIGNS:
        _USER_SIGNS[sign](user, rule)
    elif sign == b"(" and rule.endswith(b")"):
        selector = Selector(all_channels=all_channels)
        for inner in rule[1:-1].split():
            apply_to_selector(selector, inner)
        user.selectors.append(selector)
    else:
        apply_to_selector(user.selectors[0], rule)
    user.settle()


# Rules of a selector


def _set_keys(selector: Selector, every: bool) -> None:
    selector.all_keys = every
    selector.patterns.clear()


def _set_channels(selector: Selector, every: bool) -> None:
    selector.all_channels = every
    selector.channels.clear()


_SELECTOR_WORDS: dict[bytes, Callable[[Selector], None]] = {
    b"allkeys": lambda selector: _set_keys(selector, True),
    b"~*": lambda selector: _set_keys(selector, True),
    b"resetkeys": lambda selector: _set_keys(selector, False),
    b"allchannels": lambda selector: _set_channels(selector, True),
    b"&*": lambda selector: _set_channels(selector, True),
    b"resetchannels": lambda selector: _set_channels(selector, False),
    b"allcommands": lambda selector: selector.set_all(allowed=True),
    b"+@all": lambda selector: selector.set_all(allowed=True),
    b"nocommands": lambda selector: selector.set_all(allowed=False),
    b"-@all": lambda selector: selector.set_all(allowed=False),
}


def apply_to_selector(selector: Selector, rule: bytes) -> None:
    """Apply one rule on commands, keys or channels; raises RuleError."""
    word = _word(rule)
    if word in _SELECTOR_WORDS:
        _SELECTOR_WORDS[word](selector)
    elif rule[:1] in (b"~", b"%"):
        _add_pattern(selector, rule)
    elif rule[:1] == b"&":
        if selector.all_channels:
            raise RuleError(ACL_PATTERN_AFTER_ALL_CHANNELS)
        if has_spaces(rule[1:]):
            raise RuleError(ACL_SYNTAX)
        selector.channels[rule[1:]] = None
    elif word[:2] in (b"+@", b"-@"):
        category = word[2:].decode("latin-1")
        if category not in CATEGORIES:
            raise RuleError(ACL_UNKNOWN_COMMAND)
        selector.set_category(category, allowed=word[:1] == b"+")
    elif word[:1] in (b"+", b"-"):
        _set_command(selector, rule.partition(b"\0")[0])
    else:
        raise RuleError(ACL_SYNTAX)


def _add_pattern(selector: Selector, rule: bytes) -> None:
    if selector.all_keys:
        raise RuleError(ACL_PATTERN_AFTER_ALL_KEYS)
    access, at = 0, 1
    if rule[:1] == b"~":
        access = READ | WRITE
    else:
        while at < len(rule):
            letter = _ACCESSES.get(rule[at] & ~0x20, 0)
            if rule[at] == ord("~"):
                at += 1
                break
            if not letter or access & letter:
                raise RuleError(ACL_SYNTAX)
            access |= letter
            at += 1
    pattern = rule[at:]
    if not access or has_spaces(pattern):
        raise RuleError(ACL_SYNTAX)
    selector.patterns[pattern] = selector.patterns.get(pattern, 0) | access


def _set_command(selector: Selector, rule: bytes) -> None:
    name, allowed = rule[1:], rule[:1] == b"+"
    parent, bar, last = name.rpartition(b"|")
    row = _found(parent if allowed and bar else name)
    if allowed and bar:
        if row.parent is not None:
            raise RuleError(ACL_FIRST_ARGUMENT_OF_CHILD)
        if not last:
            raise RuleError(ACL_SYNTAX)
        if not row.children:
            selector.add_first_word(row, last)
            return
        row = _found(name)
    selector.set_command(row, allowed=allowed)


def _found(name: bytes) -> registry.Command:
    row = registry.find(name)
    # A bar with nothing behind it names no child.
    if row is None or name.endswith(b"|"):
        raise RuleError(ACL_UNKNOWN_COMMAND)
    return row


def _word(rule: bytes) -> bytes:
    """A rule as a word: in lower case, and up to a NUL, where C ends a string."""
    return rule.partition(b"\0")[0].lower()
