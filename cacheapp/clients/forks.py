"""Locks that the child of a fork finds free, whoever held them in its parent.

A thread that held one is not there in the child, and would never let go. What such a lock guards
is whole at every step or may be late by one, so a new lock in its place is enough. What has more to
forget in a child (threads, connections, sessions) has a hook of its own.

Left out on purpose: the engine's locks, which are taken before a fork (``engine.forks``).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["renews"]

_all: dict[int, tuple[weakref.ref[Any], str, Callable[[], Any]]] = {}


def renews(
    holder: object | ModuleType, name: str, make: Callable[[], Any] = threading.Lock
) -> None:
    """Have ``holder``, an object or a module, begin with a new lock called ``name`` in a child."""
    key = id(holder)

    def forget(_: object) -> None:
        _all.pop(key, None)

    _all[key] = weakref.ref(holder, forget), name, make


def _after_fork_in_child() -> None:
    for holder, name, make in list(_all.values()):
        found = holder()
        if found is not None:
            setattr(found, name, make())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
