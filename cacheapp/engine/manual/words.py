"""The words in which a page of the manual says what arguments a command takes.

    page(
        key(),
        optional(integer("count", after="COUNT")),
        repeated(string("element")),
        history=(("2.4.0", "Several `element`."),),
    )

reads as `key [COUNT count] element [element ...]`. The words are functions that make data: an
`Argument` knows nothing of commands. Left out on purpose: parsing; handlers read their arguments
themselves, and the manual describes what they accept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Argument:
    """A node of a command's syntax, in the terms of COMMAND DOCS.

    `spec` is the place of the row's key specification that finds this key.
    """

    name: str
    type: str
    token: str | None = None
    spec: int | None = None
    since: str = ""
    deprecated_since: str = ""
    flags: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What COMMAND DOCS says of a command beyond its row.

    `history` is (version, what it brought); `deprecated` is (version, what to use instead);
    `is_system`: clients have no business with it.
    """

    arguments: tuple[Argument, ...]
    history: tuple[tuple[str, str], ...]
    deprecated: tuple[str, str] | None
    is_system: bool


def page(
    *arguments: Argument,
    history: tuple[tuple[str, str], ...] = (),
    deprecated: tuple[str, str] | None = None,
    is_system: bool = False,
) -> Page:
    """A command's page: its arguments in order, and the rest of `Page`."""
    return Page(arguments, history, deprecated, is_system)


def key(name: str = "key", *, spec: int = 0, after: str = "", since: str = "") -> Argument:
    """A key, which the row's key specification number `spec` finds.

    Here and below, `after` is the word that stands before the argument, `since` the version that
    brought it.
    """
    return Argument(name, "key", after or None, spec, since)


def token(word: str, name: str = "", *, since: str = "") -> Argument:
    """A word that stands for itself; it is named like the word unless `name` says else."""
    return Argument(name or word.lower(), "pure-token", word, since=since)


def pattern(name: str, *, spec: int | None = None, after: str = "", since: str = "") -> Argument:
    """A glob, or with `spec` a pattern of keys that this key specification is about."""
    return Argument(name, "pattern", after or None, spec, since)


class _Value(Protocol):
    def __call__(
        self, name: str, *, after: str = "", since: str = "", deprecated_since: str = ""
    ) -> Argument: ...


def _value(kind: str) -> _Value:
    def value(
        name: str, *, after: str = "", since: str = "", deprecated_since: str = ""
    ) -> Argument:
        return Argument(name, kind, after or None, since=since, deprecated_since=deprecated_since)

    return value


string = _value("string")
integer = _value("integer")
double = _value("double")
unix_time = _value("unix-time")


def one_of(name: str, *choices: Argument, after: str = "", since: str = "") -> Argument:
    """One of several arguments."""
    return Argument(name, "oneof", after or None, since=since, arguments=choices)


def block(name: str, *parts: Argument, after: str = "", since: str = "") -> Argument:
    """Arguments that belong together."""
    return Argument(name, "block", after or None, since=since, arguments=parts)


def optional(argument: Argument) -> Argument:
    """The argument, which may be left out."""
    return replace(argument, flags=("optional", *argument.flags))


def repeated(argument: Argument, *, token: bool = False) -> Argument:
    """The argument, which may be given several times; `token`: each time after its word."""
    words = ("multiple", "multiple_token") if token else ("multiple",)
    return replace(argument, flags=(*argument.flags, *words))
