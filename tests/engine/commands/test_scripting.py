"""EVAL's own arguments, and where its keys are."""

from __future__ import annotations

import pytest

from cacheapp.engine import registry
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.errors import CommandError
from tests.engine.conftest import Run


@pytest.mark.parametrize("name", [b"EVAL", b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO"])
def test_keys_are_as_many_as_the_second_argument_says(name: bytes) -> None:
    row = registry.find(name)
    assert row is not None
    assert row.key_positions([name, b"script", b"2", b"a", b"b", b"c"]) == [3, 4]
    assert row.key_positions([name, b"script", b"0", b"a"]) == []
    assert row.key_positions([name, b"script", b"2", b"a"]) == []


def test_there_is_no_debugger(run: Run) -> None:
    for mode in ("YES", "SYNC"):
        with pytest.raises(CommandError, match="debugger"):
            run("SCRIPT", "DEBUG", mode)


def test_time_stands_still_inside_a_script(run: Run, clock: ManualClock) -> None:
    clock.set(1_700_000_000.5)
    script = "return {redis.call('TIME')[1], redis.call('TIME')[2]}"
    assert run("EVAL", script, 0) == [b"1700000000", b"500000"]


def test_keys_expire_for_scripts_too(run: Run, clock: ManualClock) -> None:
    run("SET", "k", "v", "PX", 100)
    clock.advance(1)
    assert run("EVAL", "return redis.call('EXISTS', 'k')", 0) == 0
