"""What another thread held when a process forked keeps nobody waiting in the child."""

from __future__ import annotations

import gc
import importlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cacheapp.cache.lost import Lost
from cacheapp.cache.outage import Outages
from cacheapp.channels import ChannelLayer, invalidations
from cacheapp.channels.invalidations import GROUP, Relay
from cacheapp.clients import forks
from cacheapp.clients.forks import renews
from cacheapp.invalidation.audience import Audience
from tests.clients.forks import ignores_the_warning, in_child

pytestmark = ignores_the_warning


def modules_lock(name: str, attribute: str = "_lock") -> Callable[[], tuple[Any, str]]:
    return lambda: (importlib.import_module(name), attribute)


HOLDERS: dict[str, Callable[[], tuple[Any, str]]] = {
    "connections": modules_lock("cacheapp.cache.connections"),
    "servers": modules_lock("cacheapp.cache.servers"),
    "writebehind": modules_lock("cacheapp.cache.writebehind"),
    "factory": modules_lock("cacheapp.clients.factory"),
    "counters": modules_lock("cacheapp.ratelimit.counters"),
    "hubs": modules_lock("cacheapp.channels.hub", "_hubs_lock"),
    "outages": lambda: (Outages("forks", degrades=True), "_lock"),
    "lost": lambda: (Lost("forks"), "_lock"),
    "relay": lambda: (Relay(ChannelLayer(url="memory://forks"), GROUP + "default"), "_lock"),
}


@pytest.mark.parametrize("which", HOLDERS)
def test_a_lock_that_another_thread_holds_is_free_in_the_child(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invalidations, "audience_of", lambda alias: Audience(lambda: None))
    holder, name = HOLDERS[which]()
    lock = getattr(holder, name)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    found = in_child(lambda: str(getattr(holder, name).acquire(blocking=False)))
    done.set()
    thread.join()
    assert found == "True"
    # The parent goes on with the one that it had.
    assert getattr(holder, name) is lock


def test_what_is_gone_is_not_kept() -> None:
    class Holder:
        lock = threading.Lock()

    before = len(forks._all)
    holder = Holder()
    renews(holder, "lock")
    assert len(forks._all) == before + 1
    del holder
    gc.collect()
    assert len(forks._all) <= before
