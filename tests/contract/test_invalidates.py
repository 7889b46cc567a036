"""Declared invalidation on both servers: every way in which Django changes rows, on commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from cacheapp.invalidation.models import forget, invalidates
from tests.cache.aliases import maker
from tests.contract.conftest import Server

pytestmark = pytest.mark.django_db(transaction=True)


class Proxy(Group):
    """A model that derives from one with a declaration."""

    class Meta:
        app_label = "tests"
        proxy = True


@pytest.fixture
def cache(server: Server, settings: Any) -> Iterator[Any]:
    cache = maker(settings)(server.url, KEY_PREFIX="p")
    yield cache
    for model in (Group, User, Permission, ContentType):
        forget(model)


@pytest.fixture
def groups(cache: Any) -> list[Group]:
    made = [Group.objects.create(name=name) for name in "ab"]
    invalidates(Group, keys=lambda group: [f"group:{group.pk}", f"name:{group.name}"])
    invalidates(Group, tags=["groups"])
    return made


def fill(cache: Any, *groups: Group) -> None:
    for group in groups:
        cache.set(f"group:{group.pk}", 1)
        cache.set(f"name:{group.name}", 1)
    cache.set("all", 1, tags=["groups"])


def gone(cache: Any, *groups: Group) -> bool:
    keys = [f"group:{group.pk}" for group in groups]
    return cache.get_many([*keys, "all"]) == {}


def save(group: Group) -> None:
    group.name = f"{group.name}+"
    group.save()


def any_permission() -> Permission:
    return Permission.objects.all()[0]


CHANGES: dict[str, Callable[[Group], Any]] = {
    "save": save,
    "proxy": lambda group: Proxy.objects.get(pk=group.pk).save(),
    "delete": lambda group: group.delete(),
    "queryset delete": lambda group: Group.objects.filter(pk=group.pk).delete(),
    "update": lambda group: Group.objects.filter(pk=group.pk).update(name="new"),
    "bulk_update": lambda group: Group.objects.bulk_update([group], ["name"]),
    "update_or_create": lambda group: Group.objects.update_or_create(
        pk=group.pk, defaults={"name": "new"}
    ),
    "asave": lambda group: async_to_sync(group.asave)(),
    "adelete": lambda group: async_to_sync(group.adelete)(),
    "aupdate": lambda group: async_to_sync(Group.objects.filter(pk=group.pk).aupdate)(name="new"),
    "abulk_update": lambda group: async_to_sync(Group.objects.all().abulk_update)(
        [group], ["name"]
    ),
    "m2m add": lambda group: group.permissions.add(any_permission()),
    "m2m set": lambda group: group.permissions.set(Permission.objects.all()[:2]),
    "m2m reverse": lambda group: [any_permission().group_set.add(group)],
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_way_of_changing_a_row(cache: Any, groups: list[Group], change: str) -> None:
    fill(cache, *groups)
    first, other = groups
    cache.set("unrelated", 1)
    CHANGES[change](Group.objects.get(pk=first.pk))
    assert cache.get("unrelated") == 1
    assert cache.get("all") is None
    assert cache.get(f"group:{first.pk}") is None
    assert cache.get(f"group:{other.pk}") == 1


def test_update_invalidates_what_was_and_what_is(cache: Any, groups: list[Group]) -> None:
    fill(cache, *groups)
    cache.set("name:new", "nobody")
    Group.objects.filter(name="a").update(name="new")
    assert cache.get_many(["name:a", "name:b", "name:new"]) == {"name:b": 1}


def test_bulk_create(cache: Any, groups: list[Group]) -> None:
    cache.set_many({"name:c": "nobody", "name:d": "nobody", "name:e": "nobody"})
    cache.set("all", 1, tags=["groups"])
    Group.objects.bulk_create(Group(name=name) for name in "cd")
    assert cache.get_many(["name:c", "name:d", "name:e", "all"]) == {"name:e": "nobody"}
    async_to_sync(Group.objects.all().abulk_create)([Group(name="e")])
    assert cache.get("name:e") is None


def test_clearing_a_relation_reaches_both_ends(cache: Any, groups: list[Group]) -> None:
    permission = Permission.objects.all()[0]
    invalidates(Permission, keys=lambda permission: [f"permission:{permission.pk}"])
    for clear in (groups[0].permissions.clear, permission.group_set.clear):
        groups[0].permissions.add(permission)
        fill(cache, *groups)
        cache.set(f"permission:{permission.pk}", 1)
        clear()
        assert cache.get(f"permission:{permission.pk}") is None
        assert cache.get(f"group:{groups[0].pk}") is None
        assert cache.get(f"group:{groups[1].pk}") == 1


def test_related_objects_are_taken_for_changed(cache: Any, groups: list[Group]) -> None:
    invalidates(User, related=["groups"])
    invalidates(Permission, related=["content_type", "group"])
    invalidates(ContentType, keys=lambda kind: [f"type:{kind.pk}"])
    user = User.objects.create(username="u")
    user.groups.add(groups[0])
    for change in (user.save, lambda: User.objects.update(first_name="x"), user.delete):
        fill(cache, *groups)
        change()
        assert cache.get(f"group:{groups[0].pk}") is None
        assert cache.get(f"group:{groups[1].pk}") == 1
    permission = Permission.objects.all()[0]
    cache.set(f"type:{permission.content_type_id}", 1)
    permission.save()
    assert cache.get(f"type:{permission.content_type_id}") is None


def test_on_commit_and_never_on_rollback(cache: Any, groups: list[Group]) -> None:
    fill(cache, *groups)
    with transaction.atomic():
        save(groups[0])
        assert not gone(cache, groups[0])
    assert gone(cache, groups[0])
    fill(cache, *groups)
    with transaction.atomic():
        save(groups[0])
        transaction.set_rollback(True)
    assert cache.get("all") == 1
    with transaction.atomic():
        with transaction.atomic():
            save(groups[0])
            transaction.set_rollback(True)
        save(groups[1])
        assert cache.get("all") == 1
    assert cache.get("all") is None
    assert cache.get(f"group:{groups[1].pk}") is None


def test_a_transaction_s_changes_go_together(
    server: Server, cache: Any, groups: list[Group]
) -> None:
    client = server.client()
    with transaction.atomic():
        for number in range(50):
            Group.objects.create(name=f"many{number}")
        before = client.info("stats")["total_commands_processed"]
    assert client.info("stats")["total_commands_processed"] - before <= 6


@pytest.mark.usefixtures("cache")
def test_what_needs_no_row_costs_no_query(django_assert_num_queries: Any) -> None:
    Group.objects.create(name="a")
    with django_assert_num_queries(1):
        Group.objects.update(name="b")
    invalidates(Group, tags=["groups"], keys=["groups"])
    with django_assert_num_queries(1):
        Group.objects.update(name="c")


def test_many_tags_at_once(cache: Any) -> None:
    invalidates(Group, tags=lambda group: [f"group:{group.name}"])
    cache.set("key", 1, tags=["group:99"])
    Group.objects.bulk_create(Group(name=str(number)) for number in range(100))
    assert cache.get("key") is None


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(TypeError, match="tags must be a list"):
        invalidates(Group, tags="groups")
    with pytest.raises(ValueError, match="no relation 'nothing'"):
        invalidates(Group, related=["nothing"])
