"""The command table: what it derives, and that its rows are coherent."""

from __future__ import annotations

import inspect

import pytest

from cacheapp.engine import registry
from cacheapp.engine.errors import CommandError
from cacheapp.engine.notifications import EVENT_CLASS

registry.load_commands()
EVERY = [row for parent in registry.rows() for row in (parent, *parent.children.values())]


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.name)
def test_a_row_says_what_it_must(row: registry.Command) -> None:
    assert row.summary.endswith(".")
    assert row.since
    assert row.group
    assert row.categories & {"fast", "slow"}
    assert not ({"write", "readonly"} <= row.flags), "both write and readonly"


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.name)
def test_a_handler_takes_what_its_arity_lets_through(row: registry.Command) -> None:
    if row.children:
        return
    signature = inspect.signature(row.handler)
    least = abs(row.arity) - row.skip
    signature.bind(None, *[b""] * least)
    if row.arity < 0 and row.name != "DEBUG":
        signature.bind(None, *[b""] * (least + 2))


def test_lookup_ignores_case_and_checks_arity() -> None:
    assert registry.lookup([b"gEt", b"key"]).name == "GET"
    assert registry.lookup([b"config", b"GeT", b"x"]).name == "CONFIG|GET"
    with pytest.raises(CommandError, match="for 'config' command"):
        registry.lookup([b"config"])
    with pytest.raises(CommandError, match="for 'config|get' command".replace("|", r"\|")):
        registry.lookup([b"config", b"get"])


def test_no_event_belongs_to_two_classes() -> None:
    assert EVENT_CLASS[b"del"] == "g"
    assert EVENT_CLASS[b"expired"] == "x"
    assert len(EVENT_CLASS) > 50
