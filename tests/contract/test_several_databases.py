"""Invalidation with two databases: changes with `using=`, and writes inside two transactions.

The second database is a file with the tables that the tests need, and Django knows it as long as
this module's tests run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connections, transaction

from cacheapp.invalidation import commits
from cacheapp.invalidation.models import forget, invalidates
from tests.cache.aliases import maker
from tests.contract.conftest import Server
from tests.redis_server import RedisServer

OTHER = "other"

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", OTHER])


@pytest.fixture(scope="module", autouse=True)
def other(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[str]:
    name = tmp_path_factory.mktemp("other") / "db"
    connections.settings[OTHER] = {**connections.settings["default"], "NAME": name}
    connection = connections[OTHER]
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        for model in (ContentType, Permission, Group, User):
            editor.create_model(model)
    yield OTHER
    connection.close()
    commits._connections().remove(connection)
    del connections[OTHER]
    del connections.settings[OTHER]


@pytest.fixture
def cache(server: Server, settings: Any) -> Iterator[Any]:
    yield maker(settings)(server.url, KEY_PREFIX="p")
    forget(Group)


def declare(alias: str = "default", **more: Any) -> None:
    invalidates(Group, keys=lambda group: [f"group:{group.name}"], alias=alias, **more)


CHANGES = {
    "save": lambda groups: groups.get(name="a").save(using=groups.db),
    "delete": lambda groups: groups.get(name="a").delete(using=groups.db),
    "update": lambda groups: groups.filter(name="a").update(name="b"),
    "bulk_create": lambda groups: groups.bulk_create([Group(name="b")]),
    "bulk_update": lambda groups: groups.bulk_update([groups.get(name="a")], ["name"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_waits_for_the_commit_of_its_own_database(
    cache: Any, other: str, change: str
) -> None:
    groups = Group.objects.using(other)
    groups.create(name="a")
    declare()
    name = "b" if change == "bulk_create" else "a"
    cache.set(f"group:{name}", 1)
    with transaction.atomic(using=other):
        with transaction.atomic():
            CHANGES[change](groups)
        assert cache.get(f"group:{name}") == 1
    assert cache.get(f"group:{name}") is None


def test_a_rollback_is_that_of_its_own_database(cache: Any, other: str) -> None:
    declare()
    cache.set_many({"group:a": 1, "group:b": 1})
    with transaction.atomic():
        Group.objects.create(name="b")
        with transaction.atomic(using=other):
            Group.objects.using(other).create(name="a")
            transaction.set_rollback(True, using=other)
    assert cache.get_many(["group:a", "group:b"]) == {"group:a": 1}


def test_write_through_to_another_database(cache: Any, other: str) -> None:
    def write() -> str:
        return Group.objects.using(other).update_or_create(name="a")[0].name

    with transaction.atomic(using=other):
        assert cache.write_through("key", write, using=other) == "a"
        assert cache.get("key") is None
    assert cache.get("key") == "a"
    with transaction.atomic(using=other):
        cache.write_through("key", write, using=other)
        transaction.set_rollback(True, using=other)
    assert cache.get("key") is None
    assert Group.objects.using(other).count() == 1


def test_an_alias_that_does_not_answer_keeps_nothing_from_the_others(
    cache: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"CONNECTION_POOL_KWARGS": {"retry": None}}
    # Port 1 of the loopback address: nobody listens there.
    maker(settings)("redis://127.0.0.1:1/0", "dead", options=options)
    declare("dead", tags=["groups"])
    declare("default", tags=["groups"])
    cache.set("group:a", 1)
    cache.set("tagged", 1, tags=["groups"])
    Group.objects.create(name="a")
    assert cache.get_many(["group:a", "tagged"]) == {}
    assert "on_commit" in caplog.text


def test_what_is_deleted_in_two_transactions_is_deleted_after_each(
    redis_server: RedisServer, settings: Any, other: str
) -> None:
    cache = maker(settings)(redis_server.url(), "near", options={"NEAR_CACHE": {}})
    reader = maker(settings)(redis_server.url(), "plain")
    # Open, so that their order in the list of connections is not the order of the transactions.
    with transaction.atomic(), transaction.atomic(using=other):
        pass
    for first, second in ((other, "default"), ("default", other)):
        with transaction.atomic(using=first):
            with transaction.atomic(using=second):
                cache.delete("key")
                reader.set("key", "read before the commits")
            assert reader.get("key") is None
            reader.set("key", "read before the outer commit")
        assert reader.get("key") is None
