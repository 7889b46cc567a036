"""``OPTIONS["PREFIXES"]``: beginnings of keys that are invalidated by one command.

Nothing on the server knows which keys begin alike, so to delete those is a walk through all keys.
A declared prefix is instead a tag that each key below it has by itself (``tags``): every way of
storing a value looks up which declared prefixes the key begins with, and to invalidate one is to
delete its version. Reading needs to know nothing of it, since an entry says which tags it has. An
alias that declares none pays nothing.

``"user:*:"`` stands for ``"user:1:"``, ``"user:2:"`` and so on: a star is whatever comes before the
next character of the pattern. ``""`` is every key of a version.

Left out on purpose: prefixes of sets, hashes and sorted sets, which are no values of ours to carry
a tag; and a tag for every part of every key: each is compared on every read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache.keys import KeyShape, encode_key

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

#: What the names of these tags begin with, and no tag of a caller's.
MARK: Final = "\x1f"
#: Declared prefixes of one alias at most: a write looks at all of them.
PREFIXES_MAX: Final = 16


class Prefixes:
    """The prefixes that an alias declares."""

    def __init__(self, declared: Sequence[str]) -> None:
        self._patterns = [re.compile(_expression(each), re.DOTALL) for each in declared]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Prefixes | None:
        """Return those in an alias's OPTIONS, or None. Raises ImproperlyConfigured."""
        stated = options.get("PREFIXES")
        if stated is None:
            return None
        if isinstance(stated, str) or not all(isinstance(each, str) for each in stated):
            raise ImproperlyConfigured(f"OPTIONS['PREFIXES'] must be a list of texts: {stated!r}")
        declared = list(dict.fromkeys(stated))
        if len(declared) > PREFIXES_MAX:
            raise ImproperlyConfigured(
                f"OPTIONS['PREFIXES'] has {len(declared)} prefixes, and {PREFIXES_MAX} at most are "
                "allowed: use a star for what differs, as in 'user:*:'"
            )
        return cls(declared) if declared else None

    def is_declared(self, prefix: str) -> bool:
        """Say whether ``prefix`` is one of those, with something in the place of each star."""
        return any(pattern.fullmatch(prefix) for pattern in self._patterns)

    def above(self, key: str) -> list[str]:
        """Return the declared prefixes that ``key`` begins with."""
        found = [pattern.match(key) for pattern in self._patterns]
        return list(dict.fromkeys(match.group() for match in found if match))


def _expression(declared: str) -> str:
    parts = declared.split("*")
    if not all(parts[1:]):
        raise ImproperlyConfigured(
            f"OPTIONS['PREFIXES'] has {declared!r}: after each star comes the character that ends "
            "it, as in 'user:*:'"
        )
    stars = [f"[^{re.escape(part[0])}]*{re.escape(part)}" for part in parts[1:]]
    return re.escape(parts[0]) + "".join(stars)


def tag_of(prefix: str, version: Any) -> bytes:
    """Return the name of the tag that the keys of ``version`` below ``prefix`` have."""
    return encode_key(f"{MARK}{version}{MARK}{prefix}")


def tags_of(cache: CacheBackend, name: bytes) -> list[bytes]:
    """Return the tags that the server's key ``name`` has by itself."""
    if cache.prefixes is None:
        return []
    found = _parser(cache.key_func, cache.key_prefix, cache.version).fullmatch(name.decode())
    if found is None:
        return []  # a CacheKey that is none of this alias's
    return [tag_of(prefix, found["version"]) for prefix in cache.prefixes.above(found["key"])]


@lru_cache(maxsize=64)
def _parser(key_func: Callable[..., Any], prefix: str, version: Any) -> re.Pattern[str]:
    return re.compile(KeyShape.of(key_func, prefix, version).expression(), re.DOTALL)
