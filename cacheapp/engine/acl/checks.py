"""Whether a user may run a command: its name, then its keys, then its channels.

Each selector is asked by itself, as Redis asks them: two that allow half of a command each do not
allow it together. What a key needs, reading or writing, is what the row says of it. Arguments in
which no keys can be found are the command's own error, and not refused here.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

from cacheapp.engine.acl.selectors import READ, WRITE, Selector
from cacheapp.engine.acl.users import User
from cacheapp.engine.arguments import glob_matcher
from cacheapp.engine.registry import Command

# Where the channels end (0: at the last argument), and whether they are patterns. Who leaves a
# channel needs no permission.
_CHANNELS = {
    "SUBSCRIBE": (0, False),
    "SSUBSCRIBE": (0, False),
    "PSUBSCRIBE": (0, True),
    "PUBLISH": (2, False),
    "SPUBLISH": (2, False),
}


class Reason(IntEnum):
    """What was refused; of several selectors' reasons the highest is reported."""

    COMMAND = 1
    KEY = 2
    AUTH = 3
    CHANNEL = 4


class Denial(NamedTuple):
    """A refusal; `position` is the argument that holds the key or channel."""

    reason: Reason
    position: int = 0


# An argument's position with what it needs: of keys READ and WRITE, of channels whether it is a
# pattern.
Uses = list[tuple[int, int]]

_matcher = lru_cache(maxsize=1024)(glob_matcher)


def check(user: User, row: Command, args: list[bytes]) -> Denial | None:
    """Why `user` may not run this command, or None. `args` begins with its name."""
    if not user.restricted:
        return None
    keys, channels = _keys(row, args), _channels(row, args)
    denials = []
    for selector in user.selectors:
        denial = _check_selector(selector, row, args, keys, channels)
        if denial is None:
            return None
        denials.append(denial)
    return max(denials)


def reads_any_key(user: User, row: Command, args: list[bytes]) -> bool:
    """Whether a selector that allows this command allows every key to be read as well."""
    keys, channels = _keys(row, args), _channels(row, args)
    return any(
        (selector.all_keys or selector.patterns.get(b"*", 0) & READ)
        and _check_selector(selector, row, args, keys, channels) is None
        for selector in user.selectors
    )


def allows_channel(channels: dict[bytes, Any], channel: bytes, *, is_pattern: bool) -> bool:
    """Whether one of the patterns `channels` covers a channel, or is the pattern asked for."""
    if is_pattern:
        return channel in channels
    return any(_matcher(pattern)(channel) for pattern in channels)


def _check_selector(
    selector: Selector, row: Command, args: list[bytes], keys: Uses, channels: Uses
) -> Denial | None:
    if row not in selector.commands and "no_auth" not in row.flags:
        words = selector.first_words.get(row)
        if words is None or len(args) < 2 or not _has_word(words, args[1]):
            return Denial(Reason.COMMAND)
    if not selector.all_keys:
        for position, need in keys:
            if not _allows_key(selector, args[position], need):
                return Denial(Reason.KEY, position)
    if not selector.all_channels:
        for position, is_pattern in channels:
            if not allows_channel(selector.channels, args[position], is_pattern=bool(is_pattern)):
                return Denial(Reason.CHANNEL, position)
    return None


def _has_word(words: list[bytes], word: bytes) -> bool:
    return word.lower() in (known.lower() for known in words)


def _allows_key(selector: Selector, key: bytes, need: int) -> bool:
    return any(
        access & need == need and _matcher(pattern)(key)
        for pattern, access in selector.patterns.items()
    )


def _keys(row: Command, args: list[bytes]) -> Uses:
    return [
        (position, access.reads * READ | access.writes * WRITE)
        for position, access in row.key_accesses(args)
    ]


def _channels(row: Command, args: list[bytes]) -> Uses:
    found = _CHANNELS.get(row.name)
    if found is None:
        return []
    end, is_pattern = found
    return [(position, is_pattern) for position in range(1, end or len(args))]
