"""Sessions on both servers, in both modes: what parallel requests keep, what never comes back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisConnectionError

from cacheapp.cache.servers import server_of
from cacheapp.sessions import SessionStore
from cacheapp.sessions.places import state
from tests.cache.aliases import maker
from tests.contract.conftest import Server


@pytest.fixture(autouse=True)
def site(server: Server, settings: Any) -> None:
    maker(settings)(server.url, KEY_PREFIX="p")


def client() -> Any:
    return server_of("default").client()


def key_of(session: SessionStore) -> bytes:
    return state().key(session.store_name())


def saved(**data: Any) -> SessionStore:
    session = SessionStore()
    session.update(data)
    session.save()
    return session


def again(session: SessionStore) -> SessionStore:
    return SessionStore(session.session_key)


def writes(what: Callable[[], Any]) -> dict[str, int]:
    """The commands that `what` makes the server run, by name."""
    client().execute_command("CONFIG", "RESETSTAT")
    what()
    stats = client().info("commandstats")
    names = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    for name in ("config|resetstat", "info", "hello", "client|setinfo", "client|setname"):
        names.pop(name, None)
    return names


def test_a_session_is_a_hash_under_a_name_that_is_not_its_key() -> None:
    session = saved(cart=["a", "b"], name="x")
    (key,) = client().scan_iter(count=1000)
    assert key == key_of(session)
    assert session.session_key.encode() not in key
    fields = client().hgetall(key)
    assert set(fields) == {b"@", b".cart", b".name"}
    assert 1_209_500_000 < client().pttl(key) <= 1_209_600_000
    assert dict(again(session).items()) == {"cart": ["a", "b"], "name": "x"}


VALUES = {
    "text": "sn\N{SNOWMAN}w",
    "odd": "\ud800",
    "empty": "",
    "int": 2**70,
    "float": 0.1,
    "none": None,
    "yes": True,
    "nested": {"a": [1, {"b": None}]},
}


def test_values_come_back_as_they_were() -> None:
    session = saved(**VALUES)
    assert dict(again(session).items()) == VALUES


def test_two_requests_that_change_different_keys_both_win() -> None:
    session = saved(a=1, b=2, c=3)
    first, second = again(session), again(session)
    first["a"], second["b"] = 10, 20
    del second["c"]
    first["new"] = 5
    first.save()
    second.save()
    assert dict(again(session).items()) == {"a": 10, "b": 20, "new": 5}


def test_the_last_writer_of_one_key_wins() -> None:
    session = saved(a=1)
    first, second = again(session), again(session)
    first["a"], second["a"] = 10, 20
    first.save()
    second.save()
    assert again(session)["a"] == 20


def test_a_key_that_another_request_deleted_stays_deleted() -> None:
    session = saved(a=1, b=2)
    first, second = again(session), again(session)
    assert second["a"] == 1
    del first["a"]
    first.save()
    second["b"] = 3
    second.save()
    assert dict(again(session).items()) == {"b": 3}


def test_what_is_changed_in_place_is_written() -> None:
    session = saved(cart=[1], other=[1])
    copy = again(session)
    copy["cart"].append(2)
    copy.modified = True
    assert writes(copy.save).get("hset", 0) <= 1
    assert dict(again(session).items()) == {"cart": [1, 2], "other": [1]}


def test_a_thousand_requests_each_changing_a_key_of_its_own() -> None:
    session = saved()
    start = threading.Barrier(8)

    def request(number: int) -> None:
        if number < 8:
            start.wait()
        mine = again(session)
        mine[f"key-{number}"] = number
        mine.save()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(request, range(200)))
    assert len(again(session).keys()) == 200


async def test_and_the_same_in_one_loop() -> None:
    session = SessionStore()
    await session.aset("a", 1)
    await session.asave()

    async def request(number: int) -> None:
        mine = again(session)
        await mine.aset(f"key-{number}", number)
        await mine.asave()

    await asyncio.gather(*(request(number) for number in range(100)))
    assert len(await again(session).akeys()) == 101


def test_one_round_trip_to_load_and_one_to_save() -> None:
    session = saved(a=1, b="x")
    copy = again(session)
    assert writes(lambda: copy["a"]) == {"hgetall": 1}
    copy["a"] = 2
    asked = writes(copy.save)
    assert asked.get("evalsha", 0) + asked.get("eval", 0) == 1


def test_nothing_is_written_where_nothing_changed() -> None:
    session = saved(a=1, b=[1])
    copy = again(session)
    assert copy["b"] == [1]
    copy["a"] = 1
    assert writes(copy.save) == {"pexpire": 1}


def test_an_ended_session_does_not_come_back() -> None:
    session = saved(a=1)
    late = again(session)
    late["a"] = 2
    again(session).delete()
    with pytest.raises(UpdateError):
        late.save()
    assert not client().exists(key_of(session))
    unchanged = saved(a=1)
    same = again(unchanged)
    assert same["a"] == 1
    unchanged.flush()
    with pytest.raises(UpdateError):
        same.save()


async def test_nor_in_async_code() -> None:
    session = SessionStore()
    await session.aset("a", 1)
    await session.asave()
    late = again(session)
    await late.aset("a", 2)
    await session.aflush()
    with pytest.raises(UpdateError):
        await late.asave()
    assert session.session_key is None


def test_a_key_that_is_taken_is_not_made_again() -> None:
    session = saved(a=1)
    with pytest.raises(CreateError):
        again(session).save(must_create=True)
    assert again(session)["a"] == 1


def test_an_unknown_key_is_an_empty_session_under_no_key() -> None:
    session = SessionStore("x" * 32)
    assert session.get("a") is None
    assert session.session_key is None
    assert not session.exists("x" * 32)


def test_cycling_moves_all_and_leaves_nothing() -> None:
    session = saved(a=1, b=[2])
    old_key, old_place = session.session_key, key_of(session)
    copy = again(session)
    copy["new"] = 3
    copy.cycle_key()
    assert copy.session_key != old_key
    assert not client().exists(old_place)
    assert client().pttl(key_of(copy)) > 0
    copy.save()
    assert dict(again(copy).items()) == {"a": 1, "b": [2], "new": 3}
    late = SessionStore(old_key)
    assert late.get("a") is None
    assert late.session_key is None


async def test_cycling_in_async_code() -> None:
    session = SessionStore()
    await session.aset("a", 1)
    await session.asave()
    old_key = session.session_key
    await session.acycle_key()
    assert not await session.aexists(old_key)
    assert await again(session).aget("a") == 1


def test_cycling_keeps_what_another_request_wrote_meanwhile(monkeypatch: Any) -> None:
    session = saved(a=1)
    copy = again(session)
    assert copy["a"] == 1
    other = again(session)
    other["b"] = 2
    other.save()
    copy.cycle_key()
    assert dict(again(copy).items()) == {"a": 1, "b": 2}


def test_cycling_one_that_is_gone_makes_a_new_one() -> None:
    session = saved(a=1)
    copy = again(session)
    assert copy["a"] == 1
    session.delete()
    copy.cycle_key()
    copy.save()
    assert again(copy)["a"] == 1


def test_clearing_empties_what_was_not_looked_at_too() -> None:
    session = saved(a=1, b=2)
    copy = again(session)
    copy.clear()
    copy["c"] = 3
    copy.save()
    assert dict(again(session).items()) == {"c": 3}


@pytest.mark.parametrize("expiry", [60, timedelta(seconds=60)])
def test_expiry_of_one_session(expiry: Any) -> None:
    session = saved(a=1)
    session.set_expiry(expiry)
    session.save()
    assert 50_000 < client().pttl(key_of(session)) <= 60_000
    assert again(session).get_expiry_age() in (59, 60)


def test_expiry_at_a_moment_that_is_over_ends_it() -> None:
    session = saved(a=1)
    session.set_expiry(timezone.now() - timedelta(seconds=1))
    session.save()
    assert not client().exists(key_of(session))
    assert again(session).get("a") is None


def test_an_absolute_lifetime(settings: Any) -> None:
    settings.CACHEAPP = {"SESSIONS": {"LIFETIME": 100}}
    session = saved(a=1)
    assert 90_000 < client().pttl(key_of(session)) <= 100_000
    copy = again(session)
    copy["a"] = 2
    copy.save()
    assert client().pttl(key_of(session)) <= 100_000
    copy.cycle_key()
    copy["a"] = 3
    copy.save()
    assert client().pttl(key_of(copy)) <= 100_000


def test_a_session_that_the_server_cannot_give_is_not_an_empty_one(settings: Any) -> None:
    options = {"CONNECTION_POOL_KWARGS": {"retry": None}, "BREAKER": 60}
    maker(settings)("redis://127.0.0.1:1/0", alias="away", options=options)
    settings.CACHEAPP = {"SESSIONS": {"CACHE": "away"}}
    for _ in range(5):
        with pytest.raises(RedisConnectionError):
            SessionStore("x" * 32).get("a")


async def test_sync_code_in_a_thread_beside_async_code() -> None:
    session = await sync_to_async(saved)(a=1)
    copy = again(session)
    assert await copy.aget("a") == 1
    await copy.aset("b", 2)
    await copy.asave()
    assert await sync_to_async(lambda: dict(again(session).items()))() == {"a": 1, "b": 2}
