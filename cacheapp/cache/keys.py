"""From a cache key to the server's key and back: patterns, ownership, limits; and its deadline.

``KEY_FUNCTION`` is any function of key, prefix and version. What it makes is learnt by calling
it once with marks in the places of key and version (``KeyShape``): the text around the marks is
literal, which gives a SCAN pattern with all of it escaped, a test whether a stored key is this
alias's, and the way back from a stored key.

Left out on purpose: key functions that hash the key. Nothing can list their keys, so clear(),
keys() and delete_pattern() refuse with a clear error instead of taking somebody else's keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache.errors import InvalidKeyError

#: Redis's limit of a key, which is a string like any other (proto-max-bulk-len).
KEY_SIZE_MAX: Final = 512 * 1024 * 1024

#: Names that a ``KeyNames`` holds at most; with keys of 250 characters half a megabyte.
NAMES_MAX: Final = 1024

# Marks that a key function which formats, joins or replaces leaves as they are. The version's is
# a number, since a function may do arithmetic with it.
_KEY_MARK: Final = "Kq7cacheappkeymark7qK"
_VERSION_MARK: Final = 790_315_264_077_131
_LITERAL = re.compile(r"(?:[^*?\[\\]|\\.)*", re.DOTALL)
_SPECIAL = re.compile(r"([*?\[\]\\^-])")


def escape_glob(text: str) -> str:
    r"""Return the pattern that matches ``text`` alone in Redis's globs (KEYS, SCAN MATCH)."""
    return _SPECIAL.sub(r"\\\1", text)


def literal_head(pattern: str) -> str:
    """Return what every key that matches a glob of Redis's begins with."""
    found = _LITERAL.match(pattern)
    return re.sub(r"\\(.)", r"\1", found.group(), flags=re.DOTALL) if found else ""


def encode_key(text: str) -> bytes:
    """Return the server's key for ``text``. Raises InvalidKeyError for one that no server takes."""
    try:
        key = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidKeyError(f"A key must be text that UTF-8 can write: {error}") from error
    if len(key) > KEY_SIZE_MAX:
        raise InvalidKeyError(
            f"A key of {len(key)} bytes is over Redis's limit of {KEY_SIZE_MAX}. Use a digest of "
            "it as the key, for example hashlib.sha256(key).hexdigest()."
        )
    return key


class KeyNames(dict[str, bytes]):
    """The server's keys for often used cache keys under one ``head`` (prefix and version).

    Making and checking a name costs a third of a hit, keeping one costs as much again; so a
    backend keeps one name in eight that it had to make, which soon are those of hot keys. Holds
    at most ``NAMES_MAX``, then begins anew. Names that memcached would refuse are not kept, since
    each use is to warn.
    """

    __slots__ = ("head",)

    def __init__(self, head: str) -> None:
        super().__init__()
        self.head = head

    def keep(self, key: str, name: bytes) -> None:
        """Remember that ``name`` is the server's key for ``key``."""
        if len(self) >= NAMES_MAX:
            self.clear()
        self[key] = name


def to_milliseconds(timeout: float) -> int:
    """Return a timeout in seconds as milliseconds for PX: at least 1 if it is above zero, or 0.

    Raises ValueError for infinity and for what is not a number: for ever is None.
    """
    if not math.isfinite(timeout):
        raise ValueError(f"A timeout must be a number of seconds, or None for ever, not {timeout}")
    return max(round(timeout * 1000), 1) if timeout > 0 else 0


@dataclass(frozen=True)
class KeyShape:
    """What a key function makes of key and version under one prefix, with marks for both."""

    text: str
    own_version: str

    @classmethod
    def of(cls, key_func: Callable[..., Any], prefix: str, version: Any) -> KeyShape:
        """Learn the shape of ``key_func``'s keys under ``prefix``; ``version`` is the alias's."""
        return cls(str(key_func(_KEY_MARK, prefix, _VERSION_MARK)), str(version))

    @property
    def can_list(self) -> bool:
        """Whether stored keys show the key, and something that tells them from other keys."""
        literal = self.text.replace(_KEY_MARK, "").replace(str(_VERSION_MARK), "")
        return _KEY_MARK in self.text and bool(literal)

    def pattern(self, key_pattern: str = "*", version: Any = None) -> str:
        """Return the SCAN pattern of the keys matching ``key_pattern``, of all versions if None.

        Raises ImproperlyConfigured if the key function leaves nothing to match.
        """
        if not self.can_list:
            raise ImproperlyConfigured(
                "KEY_FUNCTION makes keys that show no key or no prefix, so clear(), keys() and "
                "delete_pattern() cannot tell this alias's keys from others. Put the prefix, or "
                "any text of its own, and the key itself into what it returns."
            )
        shown = "*" if version is None else escape_glob(str(version))
        return (
            escape_glob(self.text)
            .replace(str(_VERSION_MARK), shown)
            .replace(_KEY_MARK, key_pattern)
        )

    def owned(self) -> Callable[[bytes], Any]:
        """Return a test of stored keys: is it this alias's, under any version?

        SCAN's pattern alone would take the keys of prefix "a:b" for those of prefix "a".
        Versions are integers or the alias's own VERSION.
        """
        return re.compile(self.expression().encode(), re.DOTALL).fullmatch

    def expression(self) -> str:
        """Return the regular expression of those keys, with groups "version" and "key".

        Raises ImproperlyConfigured if the key function leaves no key to see.
        """
        self.pattern()
        regex = re.escape(self.text)
        for mark, name, inner in (
            (str(_VERSION_MARK), "version", rf"-?\d+|{re.escape(self.own_version)}"),
            (_KEY_MARK, "key", ".*"),
        ):
            regex = regex.replace(mark, f"(?P<{name}>{inner})", 1).replace(mark, f"(?P={name})")
        return regex

    def reverse(self, stored: str, version: Any) -> str:
        """Return the cache key that ``stored`` was made of under ``version``."""
        head, _, tail = self.text.replace(str(_VERSION_MARK), str(version)).partition(_KEY_MARK)
        return stored.removeprefix(head).removesuffix(tail)
