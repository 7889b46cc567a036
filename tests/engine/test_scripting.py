"""The sandbox: nothing gets out of it, nothing stays in it, and nothing runs without end."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

from cacheapp.engine import registry
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.scripting.scripts import parse_shebang
from cacheapp.engine.shortcuts import getter
from tests.engine.conftest import Run
from tests.engine.escapes import ABSENT, LEFTOVERS, REFUSED, RUNAWAYS

SHORT_LIMIT_MS = "20"
# What a script can see, all of it, as `path type` lines.
INVENTORY = """
local seen, lines = {}, {}
local function walk(path, value)
    lines[#lines + 1] = path .. ' ' .. type(value)
    if type(value) == 'table' and not seen[value] then
        seen[value] = true
        for key, item in pairs(value) do
            walk(path .. '.' .. tostring(key), item)
        end
        local metatable = getmetatable(value)
        if metatable then
            walk(path .. '<meta>', metatable)
        end
    end
end
walk('_G', _G)
walk('string', getmetatable(''))
return lines
"""


@pytest.fixture(scope="module")
def limited() -> Engine:
    """An engine with a short time limit and a large value."""
    engine = Engine({"lua-time-limit": SHORT_LIMIT_MS}, clock=ManualClock())
    session = engine.connect(lambda reply: None)
    engine.execute(session, [b"SET", b"large", b"x" * 3_000_000])
    return engine


def evaluate(engine: Engine, script: str, *keys: str) -> Any:
    session = engine.connect(lambda reply: None, protocol=3)
    args = [b"EVAL", script.encode("latin-1"), b"%d" % len(keys), *(key.encode() for key in keys)]
    try:
        return engine.execute(session, args)
    finally:
        engine.disconnect(session)


def works(engine: Engine) -> bool:
    """Whether the next script finds all as it should be."""
    script = (
        "redis.call('SET', KEYS[1], ('ab'):rep(2)) "
        "return cjson.encode({redis.call('GET', KEYS[1]), #'xyz', tostring(rawget(_G, 'x'))})"
    )
    return bool(evaluate(engine, script, "k") == b'["abab",3,"nil"]')


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_not_allowed_is_not_there(limited: Engine, name: str) -> None:
    expected = f"nonexistent global variable '{name}'"
    with pytest.raises(CommandError, match=expected):
        evaluate(limited, f"return {name}")


@pytest.mark.parametrize("name", REFUSED)
def test_escapes_are_refused(limited: Engine, name: str) -> None:
    with pytest.raises(CommandError):
        evaluate(limited, REFUSED[name])
    assert works(limited)


@pytest.mark.parametrize("name", RUNAWAYS)
def test_runaways_are_stopped(limited: Engine, name: str) -> None:
    with pytest.raises(CommandError, match=r"^ERR Script stopped: it ran longer than"):
        evaluate(limited, RUNAWAYS[name])
    assert works(limited)


@pytest.mark.parametrize("name", LEFTOVERS)
def test_nothing_is_left_for_the_next_script(engine: Engine, name: str) -> None:
    script, probe, expected = LEFTOVERS[name]
    evaluate(engine, script)
    assert evaluate(engine, probe) == expected
    assert works(engine)


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len(set(REFUSED.values())) >= 100
    assert len(set(RUNAWAYS.values())) >= 40
    assert len(LEFTOVERS) >= 15


def test_only_allowed_types_can_be_reached(run: Run) -> None:
    lines = [line.decode("latin-1").rsplit(" ", 1) for line in run("EVAL", INVENTORY, 0)]
    assert len(lines) > 100
    assert {kind for _, kind in lines} == {"table", "function", "string", "number", "userdata"}
    assert [path for path, kind in lines if kind == "userdata"] == ["_G.cjson.null"]


def test_an_error_of_the_host_is_no_python_object(run: Run) -> None:
    script = (
        "local seen = {} "
        "local function note(e) seen[#seen + 1] = type(e) end "
        "note(select(2, pcall(redis.call, 'NOPE'))) "
        "xpcall(function() redis.call('NOPE') end, note) "
        "note(select(2, coroutine.resume(coroutine.create(function() redis.call('NOPE') end)))) "
        "note(select(2, pcall(coroutine.wrap(function() redis.call('NOPE') end)))) "
        "note(select(2, pcall(redis.log))) "
        "return seen"
    )
    assert run("EVAL", script, 0) == [b"string", b"table", b"table", b"string", b"string"]


def test_no_time_is_counted_between_scripts(limited: Engine) -> None:
    with pytest.raises(CommandError, match="Script stopped"):
        evaluate(limited, "while true do end")
    loop = "local n = 0 for i = 1, 1000 do n = n + i end return n"
    assert evaluate(limited, loop) == 500500


def test_a_script_that_has_written_gets_longer_and_keeps_its_writes() -> None:
    engine = Engine({"lua-time-limit": "5"}, clock=ManualClock())
    with pytest.raises(CommandError, match=r"Script stopped: .*; what it has written stays"):
        evaluate(engine, "redis.call('SET', 'k', 'v') while true do end")
    assert evaluate(engine, "return redis.call('GET', 'k')") == b"v"


def test_a_limit_of_zero_is_none() -> None:
    engine = Engine({"lua-time-limit": "0"}, clock=ManualClock())
    loop = "local n = 0 for i = 1, 1e6 do n = n + 1 end return n"
    assert evaluate(engine, loop) == 1_000_000


def test_results_nested_without_end_are_cut(run: Run) -> None:
    reply = run("EVAL", "local t = {} t[1] = t return t", 0)
    depth = 0
    while isinstance(reply, list):
        reply, depth = reply[0], depth + 1
    assert depth == 200
    assert str(reply) == "ERR reached lua stack limit"


def test_a_reply_that_does_not_fit_is_an_error(engine: Engine, run: Run) -> None:
    run("SET", "k", b"x" * 60_000_000)
    # Each range is another string; Lua holds equal ones once.
    script = "local kept = {} for i = 1, 10 do kept[i] = redis.call('GETRANGE', 'k', i, -1) end"
    with pytest.raises(CommandError, match="not enough memory"):
        run("EVAL", script, 0)
    assert run("EVAL", "return redis.call('STRLEN', 'k')", 0) == 60_000_000


def test_a_script_that_filled_the_memory_leaves_room_for_new_ones(run: Run) -> None:
    for number in range(3):
        with pytest.raises(CommandError, match="not enough memory"):
            run("EVAL", f"local s = 'x' while {number} do s = s .. s end", 0)
        assert run("EVAL", f"return {number}", 0) == number


def test_faults_of_the_engine_are_not_hidden_by_a_script(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = registry.find(b"GET")
    assert row is not None

    def broken(*_args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(row, "handler", broken)
    for call in (
        "redis.call('GET', 'k')",
        "redis.pcall('GET', 'k')",
        "pcall(redis.call, 'GET', 'k')",
    ):
        with pytest.raises(ZeroDivisionError):
            run("EVAL", f"return {call}", 0)
    assert run("EVAL", "return 1", 0) == 1


def test_scripts_of_eval_are_forgotten_and_loaded_ones_are_not(engine: Engine, run: Run) -> None:
    loaded = run("SCRIPT", "LOAD", "return 'loaded'")
    for number in range(600):
        run("EVAL", f"return {number}", 0)
    assert len(engine.scripts) <= 501
    assert run("EVALSHA", loaded, 0) == b"loaded"
    assert run("EVAL", "return 599", 0) == 599


def test_lupa_is_not_imported_before_the_first_script() -> None:
    program = (
        "import sys\n"
        "from cacheapp.engine.engine import Engine\n"
        "engine = Engine()\n"
        "session = engine.connect(print)\n"
        "assert 'lupa' not in sys.modules\n"
        "assert engine.execute(session, [b'EVAL', b'return 1', b'0']) == 1\n"
        "assert 'lupa' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_memory_limit_holds_for_commands_of_scripts() -> None:
    engine = Engine({"maxmemory": "1mb"}, clock=ManualClock())
    session = engine.connect(lambda reply: None)
    engine.execute(session, [b"SET", b"large", b"x" * 2_000_000])
    with pytest.raises(CommandError, match=r"^OOM command not allowed .* script: "):
        evaluate(engine, "return redis.call('SET', 'k', 'v')")
    assert evaluate(engine, "return redis.call('STRLEN', 'large')") == 2_000_000
    with pytest.raises(CommandError, match=r"^OOM command not allowed .*'maxmemory'\.$"):
        evaluate(engine, "#!lua\nreturn 1")
    assert evaluate(engine, "#!lua flags=allow-oom\nreturn redis.call('SET', 'k', 'v')") == b"OK"


def test_parse_shebang() -> None:
    assert parse_shebang(b"return 1") == (b"return 1", None)
    assert parse_shebang(b"#!lua flags=no-writes,allow-oom\nx") == (
        b"\nx",
        frozenset({"no-writes", "allow-oom"}),
    )
    with pytest.raises(CommandError, match="Invalid script shebang"):
        parse_shebang(b"#!lua")


def write_pairs(engine: Engine, rounds: int) -> None:
    """Change two keys together, by EXEC and by EVAL in turn."""
    session = engine.connect(lambda reply: None)
    script = b"redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[1])"
    for number in range(rounds):
        value = b"%d" % number
        if number % 2:
            engine.execute(session, [b"EVAL", script, b"2", b"first", b"second", value])
        else:
            for args in ([b"MULTI"], [b"SET", b"first", value], [b"SET", b"second", value]):
                engine.execute(session, args)
            engine.execute(session, [b"EXEC"])


def test_readers_never_see_the_middle_of_a_transaction_or_a_script() -> None:
    engine = Engine()
    done, torn = threading.Event(), []

    def read() -> None:
        # Both keys hold one number at any time, and numbers only grow: whoever reads the first
        # key first can find the second one ahead of it, but never behind.
        get = getter(engine.connect(lambda reply: None))
        while not done.is_set():
            first, second = get(b"first"), get(b"second")
            if first is not None and (second is None or int(second) < int(first)):
                torn.append((first, second))

    readers = [threading.Thread(target=read) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in readers:
            thread.start()
        write_pairs(engine, 3000)
    finally:
        done.set()
        for thread in readers:
            thread.join(timeout=30)
        sys.setswitchinterval(interval)
    assert not torn
    session = engine.connect(lambda reply: None)
    assert engine.execute(session, [b"MGET", b"first", b"second"]) == [b"2999", b"2999"]
