"""Who is told what, and that nothing is held of those who went."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence

import pytest

from cacheapp.invalidation.audience import NOTED_MAX, Audience, Heard, Watch
from cacheapp.invalidation.protocol import keys_message, prefix_message


def nobody() -> None:
    """Wake no listener."""


@pytest.fixture
def audience() -> Audience:
    """One to which somebody listens."""
    found = Audience(nobody)
    found.hear(None)
    return found


def watching(audience: Audience, *names: bytes, prefixes: Sequence[bytes] = ()) -> Watch:
    watch = Watch()
    audience.add(watch, names, prefixes)
    return watch


async def told(audience: Audience, watch: Watch) -> Heard:
    await asyncio.wait_for(watch.rung.wait(), 30)
    return audience.take(watch)


async def test_names(audience: Audience) -> None:
    one, two = watching(audience, b"a", b"b"), watching(audience, b"b")
    audience.hear(keys_message([b"a", b"b", b"c"]))
    assert list((await told(audience, one)).names) == [b"a", b"b"]
    assert list((await told(audience, two)).names) == [b"b"]
    assert not one.rung.is_set()
    assert not audience.take(one)


async def test_early_messages_and_hellos_are_not_for_them(audience: Audience) -> None:
    watch = watching(audience, b"a", prefixes=[b"a"])
    audience.hear(keys_message([b"a"], early=True))
    audience.hear(prefix_message(b"a", early=True))
    audience.hear((b"h", b""))
    assert not audience.take(watch)


async def test_what_somebody_newer_says_is_everything(audience: Audience) -> None:
    watch = watching(audience, b"a")
    audience.hear((b"?", b"x"))
    assert (await told(audience, watch)).everything


async def test_prefixes_of_different_lengths(audience: Audience) -> None:
    watch = watching(audience, prefixes=[b"p:", b"p:long:", b"q"])
    audience.hear(keys_message([b"p:long:1", b"p:2", b"p", b"other"]))
    heard = await told(audience, watch)
    assert {prefix: list(names) for prefix, names in heard.under.items()} == {
        b"p:": [b"p:long:1", b"p:2"],
        b"p:long:": [b"p:long:1"],
    }


async def test_too_many_names_under_a_prefix_are_the_prefix(audience: Audience) -> None:
    watch = watching(audience, prefixes=[b"p"])
    for number in range(NOTED_MAX + 2):
        audience.hear(keys_message([b"p%d" % number]))
    heard = await told(audience, watch)
    assert (list(heard.prefixes), heard.under) == ([b"p"], {})


async def test_a_gap_is_everything(audience: Audience) -> None:
    watch = watching(audience, b"a")
    audience.hear(None)
    assert (await told(audience, watch)).everything
    audience.hear(prefix_message(b""))
    assert (await told(audience, watch)).everything


async def test_who_comes_before_the_listener_is_told_nothing_of_its_beginning() -> None:
    audience = Audience(nobody)
    watch = watching(audience, b"a")
    settling = asyncio.ensure_future(audience.settle(watch, 30))
    audience.hear(None)
    await settling
    assert not audience.take(watch)


async def test_who_did_not_wait_for_the_listener_is_told_of_everything() -> None:
    audience = Audience(nobody)
    watch = watching(audience, b"a")
    await audience.settle(watch, 0)
    audience.hear(None)
    assert (await told(audience, watch)).everything


async def test_a_burst_rings_once(audience: Audience, monkeypatch: pytest.MonkeyPatch) -> None:
    watches = [watching(audience, b"a") for _ in range(100)]
    loop, rings = asyncio.get_running_loop(), []
    ring = loop.call_soon_threadsafe

    def counted(*arguments: object) -> object:
        rings.append(arguments)
        return ring(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    for _ in range(50):
        audience.hear(keys_message([b"a"]))
    assert len(rings) == 1
    for watch in watches:
        assert list((await told(audience, watch)).names) == [b"a"]
    audience.hear(keys_message([b"a"]))
    assert len(rings) == 2


async def test_from_another_thread(audience: Audience) -> None:
    watch = watching(audience, b"a")
    thread = threading.Thread(target=audience.hear, args=(keys_message([b"a"]),))
    thread.start()
    assert list((await told(audience, watch)).names) == [b"a"]
    thread.join()


async def test_what_is_not_watched_any_more_is_not_told(audience: Audience) -> None:
    watch = watching(audience, b"a", b"b", prefixes=[b"p", b"q"])
    audience.hear(keys_message([b"a", b"b", b"p1", b"q1"]))
    audience.hear(prefix_message(b"q"))
    audience.discard(watch, [b"a", b"unknown"], [b"p", b"q", b"unknown"])
    heard = audience.take(watch)
    assert (list(heard.names), heard.under, heard.prefixes) == ([b"b"], {}, {})


def test_a_closed_loop_takes_its_watches_with_it(audience: Audience) -> None:
    async def begin() -> None:
        watching(audience, b"a", prefixes=[b"p"])

    asyncio.run(begin())
    assert not audience.is_empty
    audience.hear(keys_message([b"a"]))
    assert audience.is_empty


async def test_nothing_is_left_of_many_in_any_order(audience: Audience) -> None:
    chance = random.Random(1)
    watches: list[Watch] = []
    for number in range(600):
        names = [b"n%d" % chance.randrange(50) for _ in range(3)]
        prefixes = [(b"n%d" % chance.randrange(50))[: chance.randrange(1, 4)]]
        watches.append(watching(audience, *names, prefixes=prefixes))
        if number % 3 == 0:
            audience.hear(keys_message(names))
            audience.discard(chance.choice(watches), names[:1], prefixes)
        if number % 2:
            audience.end(watches.pop(chance.randrange(len(watches))))
    assert len(audience) == len(watches)
    for watch in watches:
        audience.end(watch)
        audience.end(watch)
    assert audience.is_empty


async def test_a_child_of_a_fork_has_none(audience: Audience) -> None:
    watching(audience, b"a")
    audience.reset()
    assert audience.is_empty
    assert not audience.is_live
