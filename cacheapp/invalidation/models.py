"""What a change of a model's rows invalidates: ``invalidates(Model, keys=…, tags=…, related=…)``.

A declaration stands once, beside the model, and every way of changing rows is covered: ``save``,
``delete`` and many-to-many changes by Django's signals; ``bulk_create``, ``bulk_update`` and
``update()``, which send none, by wrapping these three methods of QuerySet, once, when the first
declaration is made. Their asynchronous twins call them. Models without a declaration pay one
look into a dict for those three, and no signal is connected for them, so Django still deletes
their rows in one statement.

What is to go is gathered through a transaction and deleted after its commit, in one round trip for
keys and one for tags; a rollback deletes nothing. A reader that read the old row before the commit
is refused when it stores it, since deleting ends its lease (``get_or_set``).

Left out on purpose: raw SQL, and ``_raw_delete``. Nobody can see what those change: call
``cache.delete_many`` or ``invalidate_tags`` beside them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from django.core.cache import caches
from django.db import connections, transaction
from django.db.models import Model, QuerySet
from django.db.models.signals import class_prepared, m2m_changed, post_save, pre_delete

logger = logging.getLogger("cacheapp.cache")

#: Rows that one SELECT of `update()` loads, and keys that one delete names.
CHUNK: Final = 500

Names = Iterable[Any] | Callable[[Any], Iterable[Any]]

# Inside bulk_update(), which calls update() and knows its objects itself.
_is_quiet: ContextVar[bool] = ContextVar("cacheapp_is_quiet", default=False)


@dataclass(frozen=True)
class Rule:
    """One declaration. See invalidates()."""

    keys: Names
    tags: Names
    related: Sequence[str]
    alias: str
    version: Any

    @property
    def needs_rows(self) -> bool:
        """Whether it says something of each row, and not only that something changed."""
        return bool(callable(self.keys) or callable(self.tags) or self.related)


_rules: dict[type[Model], list[Rule]] = {}


def invalidates(
    model: type[Model],
    *,
    keys: Names = (),
    tags: Names = (),
    related: Iterable[str] = (),
    alias: str = "default",
    version: Any = None,
) -> None:
    """Declare what a change of a row of ``model`` (or of a model derived from it) invalidates.

    ``keys`` and ``tags`` are lists, or functions of the object that return such. ``related`` are
    names of relations (a foreign key, a many-to-many field, a reverse accessor): the objects there
    are taken for changed as well, and what is declared for their models is done for them.
    ``alias`` and ``version`` say in which cache. Several declarations add up.

    ``update()`` with a declaration that looks at rows costs a SELECT before and one after, for a
    key may be made of what was changed. Raises TypeError and ValueError for what cannot be.
    """
    for name, names in (("keys", keys), ("tags", tags), ("related", related)):
        if isinstance(names, (str, bytes)):
            raise TypeError(f"{name} must be a list or a function, not the text {names!r}")
    related = tuple(related)
    known = {field.name for field in model._meta.get_fields()} | set(dir(model))
    for name in related:
        if name not in known:
            raise ValueError(f"{model.__name__} has no relation {name!r}")
    rule = Rule(
        keys if callable(keys) else tuple(keys),
        tags if callable(tags) else tuple(tags),
        related,
        alias,
        version,
    )
    _watch()
    _rules.setdefault(model, []).append(rule)
    _rules_of.cache_clear()
    for kind in [model, *_derived(model)]:
        _connect(kind)


def forget(model: type[Model]) -> None:
    """Take back what was declared for ``model``; for tests."""
    _rules.pop(model, None)
    _rules_of.cache_clear()
    for kind in [model, *_derived(model)]:
        if not rules_of(kind):
            post_save.disconnect(sender=kind, dispatch_uid=_UID)
            pre_delete.disconnect(sender=kind, dispatch_uid=_UID)


@cache
def _rules_of(model: type[Model]) -> tuple[Rule, ...]:
    return tuple(rule for kind in model.__mro__ for rule in _rules.get(kind, ()))


def rules_of(model: type[Model]) -> tuple[Rule, ...]:
    """Return what is declared for ``model`` and the models that it derives from."""
    return _rules_of(model) if _rules else ()


def _derived(model: type[Model]) -> Iterator[type[Model]]:
    for kind in model.__subclasses__():
        yield kind
        yield from _derived(kind)


# What is to go, gathered until the commit


@dataclass
class _Gathered:
    """Keys by alias and version, and tags by alias, of one transaction of one connection."""

    keys: dict[tuple[str, Any], dict[Any, None]] = field(default_factory=dict)
    tags: dict[str, dict[Any, None]] = field(default_factory=dict)

    def add(self, rule: Rule, instance: Model | None) -> None:
        """Add what ``rule`` says of ``instance``; of no instance what it says of any."""
        for names, place in (
            (rule.keys, self.keys.setdefault((rule.alias, rule.version), {})),
            (rule.tags, self.tags.setdefault(rule.alias, {})),
        ):
            if not callable(names):
                place.update(dict.fromkeys(names))
            elif instance is not None:
                place.update(dict.fromkeys(names(instance)))

    def flush(self) -> None:
        """Delete it all. The first call does it, for all that the transaction changed.

        One alias's server that does not answer keeps nothing from the others. Raises its error.
        """
        keys, self.keys = self.keys, {}
        tags, self.tags = self.tags, {}
        errors = []
        for alias, names in tags.items():
            try:
                for part in _chunks(list(names)):
                    caches[alias].invalidate_tags(part)  # type: ignore[attr-defined]
            except Exception as error:  # noqa: BLE001 - raised below
                errors.append(error)
        for (alias, version), found in keys.items():
            try:
                for part in _chunks(list(found)):
                    caches[alias].delete_many(part, version)
            except Exception as error:  # noqa: BLE001 - raised below
                errors.append(error)
        if errors:
            raise errors[0]


def _chunks(names: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(names), CHUNK):
        yield names[start : start + CHUNK]


_ATTRIBUTE: Final = "_cacheapp_gathered"


def _gathered(using: str) -> _Gathered:
    """What the connection's transaction has gathered so far, to be flushed at its commit.

    Each change adds a hook, so that one whose savepoint is rolled back does not take the others'
    with it; the first hook that runs flushes all.
    """
    connection = connections[using]
    found: _Gathered | None = getattr(connection, _ATTRIBUTE, None)
    if found is None or not connection.run_on_commit:
        found = _Gathered()
        setattr(connection, _ATTRIBUTE, found)
    return found


def _changed(instances: Iterable[Model], using: str) -> None:
    """Gather what changed objects invalidate, with those that are related to them."""
    gathered = _gathered(using)
    for instance in instances:
        for rule in rules_of(type(instance)):
            gathered.add(rule, instance)
            for name in rule.related:
                for other in _at(instance, name):
                    for further in rules_of(type(other)):
                        gathered.add(further, other)
    transaction.on_commit(gathered.flush, using=using, robust=True)


def _at(instance: Model, name: str) -> list[Model]:
    """The objects at a relation, none where there is none."""
    try:
        found = getattr(instance, name)
    except AttributeError:
        return []  # a one-to-one relation that has nothing on the other side
    except ValueError:
        return []  # a many-to-many relation of an object that was not saved
    if hasattr(found, "all"):
        return list(found.all())
    return [] if found is None else [found]


# Signals

_UID: Final = "cacheapp.invalidation.models"


def _connect(model: type[Model]) -> None:
    if not model._meta.abstract:
        post_save.connect(_on_change, sender=model, dispatch_uid=_UID)
        pre_delete.connect(_on_change, sender=model, dispatch_uid=_UID)


def _on_change(instance: Model, using: str, **_: Any) -> None:
    _changed([instance], using)


def _on_class(sender: type[Model], **_: Any) -> None:
    if rules_of(sender):
        _connect(sender)


def _on_m2m(
    instance: Model,
    action: str,
    model: type[Model],
    pk_set: set[Any] | None,
    using: str,
    **more: Any,
) -> None:
    """Take both ends of a many-to-many change for changed."""
    if not (rules_of(type(instance)) or rules_of(model)):
        return
    if action == "pre_clear":
        others = _others(instance, more["sender"], model, using, reverse=more["reverse"])
        _changed([instance, *others], using)
    elif action in ("post_add", "post_remove") and pk_set:
        seen = _rows(model, list(pk_set), using) if rules_of(model) else ()
        _changed([instance, *seen], using)


def _others(
    instance: Model, through: Any, model: type[Model], using: str, *, reverse: bool
) -> list[Model]:
    """The objects at the other end of a relation that is about to be cleared."""
    links = [link for link in through._meta.fields if link.is_relation]
    sources = [link for link in links if isinstance(instance, link.related_model)]
    if not sources or not rules_of(model):
        return []
    # Of a relation to the same model, the first link is the end that has the field.
    source = sources[-1 if reverse else 0]
    targets = [link for link in links if link is not source]
    rows = through._base_manager.using(using).filter(**{source.name: instance})
    pks = [pk for target in targets for pk in rows.values_list(target.attname, flat=True)]
    return list(_rows(model, pks, using))


# The three methods that send no signals


@cache
def _watch() -> None:
    m2m_changed.connect(_on_m2m, dispatch_uid=_UID)
    class_prepared.connect(_on_class, dispatch_uid=_UID)
    for wrap in (_wrapped_update, _wrapped_bulk_create, _wrapped_bulk_update):
        name = wrap.__name__.removeprefix("_wrapped_")
        setattr(QuerySet, name, wrap(getattr(QuerySet, name)))


def _wrapped_update(update: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(update)
    def method(self: Any, **kwargs: Any) -> int:
        rules = rules_of(self.model)
        if not rules or _is_quiet.get():
            return update(self, **kwargs)
        if not any(rule.needs_rows for rule in rules):
            count = update(self, **kwargs)
            if count:
                _changed_unseen(rules, self.db)
            return count
        self._for_write = True
        using = self.db
        with transaction.atomic(using=using, savepoint=False):
            pks = list(self.order_by().values_list("pk", flat=True))
            _changed(_rows(self.model, pks, using), using)
            count = update(self, **kwargs)
            _changed(_rows(self.model, pks, using), using)
        return count

    method.alters_data = True  # type: ignore[attr-defined]
    return method


def _changed_unseen(rules: Iterable[Rule], using: str) -> None:
    gathered = _gathered(using)
    for rule in rules:
        gathered.add(rule, None)
    transaction.on_commit(gathered.flush, using=using, robust=True)


def _rows(model: type[Model], pks: Sequence[Any], using: str) -> Iterator[Model]:
    for part in _chunks(pks):
        yield from model._base_manager.using(using).filter(pk__in=part)


def _wrapped_bulk_create(bulk_create: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(bulk_create)
    def method(self: Any, objs: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        if not rules_of(self.model):
            return bulk_create(self, objs, *args, **kwargs)
        objs = list(objs)
        created = bulk_create(self, objs, *args, **kwargs)
        if objs:
            self._for_write = True
            _changed(objs, self.db)
        return created

    return method


def _wrapped_bulk_update(bulk_update: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(bulk_update)
    def method(self: Any, objs: Iterable[Any], *args: Any, **kwargs: Any) -> int:
        if not rules_of(self.model):
            return bulk_update(self, objs, *args, **kwargs)
        objs = list(objs)
        quiet = _is_quiet.set(True)
        try:
            count = bulk_update(self, objs, *args, **kwargs)
        finally:
            _is_quiet.reset(quiet)
        if objs:
            self._for_write = True
            _changed(objs, self.db)
        return count

    method.alters_data = True  # type: ignore[attr-defined]
    return method
