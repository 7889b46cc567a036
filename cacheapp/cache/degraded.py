"""What methods of a backend give, and leave undone, while the server does not answer.

Each takes the backend and the method's arguments: see ``steps.twins``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cacheapp.cache import operations

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend


def always(make: Callable[[], Any]) -> Callable[..., Any]:
    """What a method gives on an empty cache, when that does not depend on its arguments."""
    return lambda *args, **kwargs: make()


missing = always(lambda: None)
no = always(bool)
zero = always(int)
empty_list = always(list)
empty_set = always(set)
empty_dict = always(dict)
end_of_scan = always(lambda: (0, []))


def none_or_list(self: CacheBackend, key: Any, count: int | None = None, *_: Any, **__: Any) -> Any:
    """One of nothing, or several."""
    return None if count is None else []


def none_or_set(self: CacheBackend, key: Any, count: int | None = None, *_: Any, **__: Any) -> Any:
    """One of nothing, or several."""
    return None if count is None else set()


def no_each(self: CacheBackend, key: Any, *members: Any, **_: Any) -> list[bool]:
    """No for each."""
    return [False] * len(members)


def amount(self: CacheBackend, key: Any, amount: float, *_: Any, **__: Any) -> float:
    """What was to be added, as if to nothing."""
    return float(amount)


def version_above(self: CacheBackend, key: Any, delta: int = 1, version: Any = None) -> Any:
    """The version that was asked for."""
    return (self.version if version is None else version) + delta


def version_below(self: CacheBackend, key: Any, delta: int = 1, version: Any = None) -> Any:
    """The version that was asked for."""
    return version_above(self, key, -delta, version)


def added(self: CacheBackend, key: Any, delta: Any = 1, *_: Any, **__: Any) -> Any:
    """What was to be added, as if to nothing."""
    return delta


def subtracted(self: CacheBackend, key: Any, delta: Any = 1, *_: Any, **__: Any) -> Any:
    """What was to be subtracted, as if from nothing."""
    return -delta


def keys_given(self: CacheBackend, data: Any, *_: Any, **__: Any) -> list[Any]:
    """All keys, as those that failed."""
    return list(data)


# The keys of which the server may have an old value


def lost_key(self: CacheBackend, key: Any, version: Any = None) -> list[bytes]:
    """Of ``delete``."""
    return [self.storage_key(key, version)]


def lost_keys(self: CacheBackend, keys: Any, version: Any = None) -> list[bytes]:
    """Of ``delete_many``."""
    return self.storage_keys(keys, version)


def lost_number(
    self: CacheBackend, key: Any, delta: Any = 1, version: Any = None, *_: Any, **__: Any
) -> list[bytes]:
    """Of ``incr`` and ``decr``."""
    return [self.storage_key(key, version)]


def lost_values(
    self: CacheBackend, data: Any, timeout: Any = None, version: Any = None, tags: Any = ()
) -> list[bytes]:
    """Of ``set_many``."""
    return self.storage_keys(data, version)


def lost_tagged(
    self: CacheBackend,
    key: Any,
    value: Any,
    timeout: Any,
    version: Any,
    tags: Any,
    nx: bool,
    *_: Any,
) -> list[bytes]:
    """Of ``set`` with tags. One that is not to replace anything loses nothing."""
    return [] if nx else [self.storage_key(key, version)]


def lost_version(self: CacheBackend, version: Any = None) -> list[bytes]:
    """Of ``invalidate_version``."""
    return operations.prefix_keys(self, "", version)
