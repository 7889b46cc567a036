"""The manual: every command has its page, and a page agrees with its row."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from cacheapp.engine import manual, registry
from cacheapp.engine.manual.words import (
    Argument,
    Page,
    block,
    integer,
    key,
    one_of,
    optional,
    repeated,
    string,
    token,
)

registry.load_commands()
ROWS = {row.name: row for parent in registry.rows() for row in (parent, *parent.children.values())}
GROUPS = {row.group for row in ROWS.values()}

# Redis documents no arguments of these.
UNDOCUMENTED = {"COMMAND|GETKEYS", "COMMAND|GETKEYSANDFLAGS", "DEBUG", "QUIT", "REPLCONF"}
# Redis's own arity and syntax disagree.
AT_ODDS = {"CLIENT|KILL", "GEOHASH", "GEOPOS", "PFMERGE"}


def pages() -> dict[str, tuple[str, Page]]:
    """Every page with the group whose module holds it, by the command's name."""
    found = {}
    for module in pkgutil.iter_modules(manual.__path__):
        if module.name != "words":
            held = importlib.import_module(f"{manual.__name__}.{module.name}").PAGES
            found.update(
                {name: (module.name.replace("_", "-"), page) for name, page in held.items()}
            )
    return found


def least(arguments: tuple[Argument, ...]) -> int:
    """How many arguments a syntax takes at least."""
    total = 0
    for argument in arguments:
        if "optional" in argument.flags:
            continue
        if argument.type == "pure-token":
            total += 1
            continue
        total += bool(argument.token)
        if argument.type == "oneof":
            total += min(least((choice,)) for choice in argument.arguments)
        elif argument.type == "block":
            total += least(argument.arguments)
        else:
            total += 1
    return total


@pytest.mark.parametrize("name", sorted(set(ROWS) - UNDOCUMENTED - AT_ODDS))
def test_a_page_asks_for_as_much_as_the_row(name: str) -> None:
    row = ROWS[name]
    if row.children:
        return
    asked = least(manual.page_of(row.group, name).arguments)
    demanded = abs(row.arity) - row.skip
    assert asked == demanded


@pytest.mark.parametrize("name", sorted(set(ROWS) - UNDOCUMENTED))
def test_what_takes_options_has_a_page(name: str) -> None:
    row = ROWS[name]
    takes_more = row.arity < 0 and not row.children
    assert bool(manual.page_of(row.group, name).arguments) >= takes_more


def nodes(arguments: tuple[Argument, ...]) -> list[Argument]:
    found = []
    for argument in arguments:
        found += [argument, *nodes(argument.arguments)]
    return found


@pytest.mark.parametrize("name", sorted(set(pages()) & set(ROWS)))
def test_a_page_stands_in_its_group_and_names_key_specifications(name: str) -> None:
    row = ROWS[name]
    group, page = pages()[name]
    assert group == row.group
    named = {node.spec for node in nodes(page.arguments) if node.spec is not None}
    assert named == {place for place, spec in enumerate(row.specs) if spec.access.is_key}


def test_no_page_is_for_nothing() -> None:
    assert set(pages()) <= set(ROWS)


def test_the_words_make_nodes() -> None:
    assert key("source", spec=1).spec == 1
    assert token("CH", "change") == Argument("change", "pure-token", "CH")
    assert optional(repeated(string("x"), token=True)).flags == (
        "optional",
        "multiple",
        "multiple_token",
    )
    tree = (
        key(),
        optional(integer("count", after="COUNT")),
        one_of("way", token("A"), block("b", string("x"), string("y"))),
        block("all", repeated(string("z")), after="ALL"),
    )
    assert least(tree) == 4


def test_a_group_without_a_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        manual.page_of("nonsense", "GET")
