"""write_through on both servers, with a real database: the order of commits, and no stale value."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from cacheapp.cache.writethrough import _Write
from tests.cache.aliases import maker
from tests.contract.conftest import Server
from tests.redis_server import HOST, free_port

DEGRADE = {"IGNORE_EXCEPTIONS": True, "CONNECTION_POOL_KWARGS": {"retry": None}}


@pytest.fixture
def cache(server: Server, settings: Any) -> Any:
    return maker(settings)(server.url, KEY_PREFIX="p")


def write(model: str) -> Any:
    row, _ = ContentType.objects.update_or_create(app_label="a", defaults={"model": model})
    return row.model


def stored() -> str:
    return ContentType.objects.get(app_label="a").model


@pytest.mark.django_db(transaction=True)
def test_the_row_and_the_value(cache: Any) -> None:
    cache.set("key", "older")
    assert cache.write_through("key", lambda: write("new"), 20, tags=["t"]) == "new"
    assert (cache.get("key"), stored()) == ("new", "new")
    assert cache.ttl("key") in (19, 20)
    cache.invalidate_tags(["t"])
    assert cache.get("key") is None
    assert cache.write_through("key", lambda: write("third"), 0) == "third"
    assert not cache.has_key("key")
    assert cache.write_through("key", lambda: write("ever"), None) == "ever"
    assert cache.ttl("key") is None


@pytest.mark.django_db(transaction=True)
def test_what_fails_writes_nothing_and_leaves_nothing(cache: Any) -> None:
    write("old")
    cache.set("key", "old")

    def fail() -> None:
        write("new")
        raise LookupError

    with pytest.raises(LookupError):
        cache.write_through("key", fail)
    assert stored() == "old"
    assert cache.client.get_client().exists("p:1:key") == 0

    with pytest.raises(TypeError):
        cache.write_through("key", lambda: (write("new"), threading.Lock()))
    assert stored() == "old"


@pytest.mark.django_db(transaction=True)
def test_in_an_outer_transaction_the_value_waits_for_its_commit(cache: Any) -> None:
    write("old")
    cache.set("key", "old")
    with transaction.atomic():
        cache.write_through("key", lambda: write("new"))
        assert cache.get("key") is None
        assert not cache.has_key("key")
        assert cache.get_or_set("key", lambda: "old") == "old"
        assert cache.get("key") is None
    assert cache.get("key") == "new"
    with transaction.atomic():
        cache.write_through("key", lambda: write("newer"), lease=0.05)
        transaction.set_rollback(True)
    assert (cache.get("key"), stored()) == (None, "new")
    while cache.client.get_client().exists("p:1:key"):
        pass  # the lease of the write that was rolled back
    assert cache.get_or_set("key", stored) == "new"
    assert cache.get("key") == "new"


@pytest.mark.django_db(transaction=True)
def test_a_reader_of_the_old_row_is_refused(cache: Any) -> None:
    write("old")
    read, go = threading.Event(), threading.Event()

    def slow() -> str:
        read.set()
        assert go.wait(20)
        return "old"

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(cache.get_or_set, "key", slow)
        assert read.wait(10)
        cache.write_through("key", lambda: write("new"))
        go.set()
        assert reader.result(20) == "new"
    assert cache.get("key") == "new"


class Writer:
    """A write in slow motion: open, commit, close, as `write_through` does them."""

    def __init__(self, cache: Any, row: dict[str, int], value: int) -> None:
        self.write = _Write(cache, "key", None, None, (), 60)
        self.steps = iter([self.open, self.commit, self.close])
        self.cache, self.row, self.value = cache, row, value

    def run(self, course: Any) -> None:
        from cacheapp.cache.effects import run

        run(self.cache, course)

    def open(self) -> None:
        self.run(self.write.open())

    def commit(self) -> None:
        self.row["value"] = self.value
        self.write.hold(self.value)

    def close(self) -> None:
        self.run(self.write.close(stores=True))


@pytest.mark.parametrize("seed", range(40))
def test_in_any_order_of_writers_and_readers_nothing_stale_stays(cache: Any, seed: int) -> None:
    """Three writers and a reader in random order, against a row that is always right."""
    order = random.Random(seed)
    row = {"value": 0}
    cache.set("key", 0, None)
    actors = [Writer(cache, row, number).steps for number in (1, 2, 3)]
    while actors:
        actor = order.choice(actors)
        step = next(actor, None)
        if step is None:
            actors.remove(actor)
            continue
        step()
        if order.random() < 0.3:
            read = row["value"]
            seen = cache.get_or_set("key", lambda read=read: read, None)
            assert seen == read
        assert cache.get("key", row["value"]) == row["value"]
    assert cache.get("key", row["value"]) == row["value"]
    assert cache.get_or_set("key", lambda: row["value"]) == row["value"]


async def test_natively(cache: Any) -> None:
    async def aread() -> list[int]:
        assert await cache.aget("key") is None
        return [1]

    await cache.aset("key", "old")
    assert await cache.awrite_through("key", aread, 20, tags=["t"]) == [1]
    assert await cache.aget("key") == [1]

    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await cache.awrite_through("key", fail)
    assert await cache.aget("key") is None
    await cache.aclose()


@pytest.mark.django_db(transaction=True)
def test_without_a_server(settings: Any) -> None:
    url = f"redis://{HOST}:{free_port()}/0"
    cache = maker(settings)(url, options=DEGRADE)
    assert cache.write_through("key", lambda: write("new")) == "new"
    assert stored() == "new"
    strict = maker(settings)(url, "strict", options={"CONNECTION_POOL_KWARGS": {"retry": None}})
    with pytest.raises(strict.server_errors):
        strict.write_through("key", lambda: write("newer"))
    assert stored() == "new"
