"""FUNCTION, FCALL and FCALL_RO: what a library may do when it loads, and when it is called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.raw import Raw, ReplyError

REGISTERING = "ERR Error registering functions: ERR "
NONEXISTENT = "user_function:2: Script attempted to access nonexistent global variable"
READ_ONLY_TABLE = "Attempt to modify a readonly table"
BAD_NAME = (
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one "
    "character long"
)
ONE = "redis.register_function('one', function() return 1 end)"
LIBRARY = """#!lua name=lib
local n = 0
local function add(name, f, flags)
    redis.register_function{function_name = name, callback = f, flags = flags or {}}
end
add('count', function() n = n + 1 return n end)
add('echo', function(keys, args) return {keys, args} end)
add('set', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
add('set_ro', function(keys, args) return redis.call('SET', keys[1], args[1]) end, {'no-writes'})
add('get', function(keys) return redis.call('GET', keys[1]) end, {'no-writes', 'allow-oom'})
add('map', function() redis.setresp(3) return {map = {a = 1}} end)
add('boom', function() error('boom') end)
add('table', function() error({err = 'MY boom'}) end)
add('keys', function() return KEYS end)
add('global', function() x = 1 end)
add('late', function() redis.register_function('f', function() end) end)
add('nested', function() return redis.call('FCALL', 'count', 0) end)
add('debugger', function() return redis.breakpoint == nil and redis.nothing == nil end)
"""

CALLS: list[tuple[tuple[str | int, ...], Any]] = [
    (("FCALL", "count", 0), 1),
    (("FCALL", "echo", 1, "k", "v"), [[b"k"], [b"v"]]),
    (("FCALL", "set", 1, "k", "v"), b"OK"),
    (("FCALL_RO", "get", 1, "k"), None),
    (("FCALL", "map", 0), [b"a", 1]),
    (("FCALL", "debugger", 0), 1),
    (("FCALL", "nope", "x"), ReplyError("ERR Function not found")),
    (("FCALL", "echo", "x"), ReplyError("ERR Bad number of keys provided")),
    (("FCALL", "echo", -1), ReplyError("ERR Number of keys can't be negative")),
    (
        ("FCALL", "echo", 1),
        ReplyError("ERR Number of keys can't be greater than number of args"),
    ),
    (
        ("FCALL_RO", "set", 1, "k", "v"),
        ReplyError("ERR Can not execute a script with write flag using *_ro command."),
    ),
    (
        ("FCALL", "set_ro", 1, "k", "v"),
        ReplyError(
            "ERR Write commands are not allowed from read-only scripts. script: set_ro, on "
            "@user_function:9."
        ),
    ),
    (
        ("FCALL", "boom", 0),
        ReplyError("ERR user_function:12: boom script: boom, on @user_function:12."),
    ),
    (("FCALL", "table", 0), ReplyError("MY boom script: table, on @user_function:13.")),
    (
        ("FCALL", "keys", 0),
        ReplyError(
            "ERR user_function:14: Script attempted to access nonexistent global variable "
            "'KEYS' script: keys, on @user_function:14."
        ),
    ),
    (
        ("FCALL", "global", 0),
        ReplyError(
            f"ERR user_function:15: {READ_ONLY_TABLE} script: global, on @user_function:15."
        ),
    ),
    (
        ("FCALL", "late", 0),
        ReplyError(
            "ERR user_function:16: attempt to call field 'register_function' (a nil value) "
            "script: late, on @user_function:16."
        ),
    ),
    (
        ("FCALL", "nested", 0),
        ReplyError(
            "ERR This Redis command is not allowed from script script: nested, on "
            "@user_function:17."
        ),
    ),
]


@pytest.fixture
def raw(server: Server) -> Iterator[Raw]:
    """A connection to a server without libraries, which has none afterwards."""
    raw = server.raw()
    raw.execute("FUNCTION", "FLUSH")
    yield raw
    raw.execute("FUNCTION", "FLUSH")


def refused(raw: Raw, *args: str | int | bytes) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("return 1", "Missing library metadata"),
        ("#!lua name=lib", "Invalid library metadata"),
        ("#!lua name='lib\n", "Invalid library metadata"),
        ("#!lua\n", "Library name was not given"),
        ("#!\n", "Library name was not given"),
        ("#! lua name=a\n", "Invalid metadata value given: lua"),
        ("#!lua name=a name=b\n", "Invalid metadata value, name argument was given multiple times"),
        ("#!lua name=a flags=b\n", "Invalid metadata value given: flags=b"),
        ("#!js name=a\n", "Engine 'js' not found"),
        ("#!lua name=a-b\n", BAD_NAME),
        ("#!lua name=\n", BAD_NAME),
        ("#!lua name=a\nreturn 1", "No functions registered"),
        (
            "#!lua name=a\nx (",
            "Error compiling function: user_function:2: unexpected symbol near '<eof>'",
        ),
    ],
)
def test_libraries_that_do_not_load(raw: Raw, code: str, text: str) -> None:
    assert refused(raw, "FUNCTION", "LOAD", code) == f"ERR {text}"
    assert raw.execute("FUNCTION", "LIST") == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("error('x')", f"{NONEXISTENT} 'error'"),
        ("redis.call('PING')", f"{NONEXISTENT} 'call'"),
        ("return KEYS", f"{NONEXISTENT} 'KEYS'"),
        ("x = 1", f"user_function:2: {READ_ONLY_TABLE}"),
        ("redis.x = 1", f"user_function:2: {READ_ONLY_TABLE}"),
        ("redis.register_function()", "wrong number of arguments to redis.register_function"),
        (
            "redis.register_function('f')",
            (
                "calling redis.register_function with a single argument is only applicable to Lua "
                "table (representing named arguments)."
            ),
        ),
        (
            "redis.register_function({}, function() end)",
            "first argument to redis.register_function must be a string",
        ),
        (
            "redis.register_function('f', 1)",
            "second argument to redis.register_function must be a function",
        ),
        ("redis.register_function('a-b', function() end)", BAD_NAME),
        (f"{ONE} {ONE}", "Function already exists in the library"),
        (
            "redis.register_function{callback=function() end}",
            "redis.register_function must get a function name argument",
        ),
        (
            "redis.register_function{function_name='f'}",
            "redis.register_function must get a callback argument",
        ),
        (
            "redis.register_function{function_name='f', callback=function() end, flags={'no'}}",
            "unknown flag given",
        ),
        (
            "redis.register_function{what=1}",
            "unknown argument given to redis.register_function",
        ),
        (
            "redis.register_function{description={}}",
            "description argument given to redis.register_function must be a string",
        ),
        ("while true do end", "FUNCTION LOAD timeout"),
    ],
)
def test_what_a_library_may_not_do_while_it_loads(raw: Raw, body: str, text: str) -> None:
    assert refused(raw, "FUNCTION", "LOAD", f"#!lua name=a\n{body}") == REGISTERING + text
    assert raw.execute("FUNCTION", "LOAD", f"#!lua name=a\n{ONE}") == b"a"


def test_names_belong_to_one_library(raw: Raw) -> None:
    code = f"#!lua name=a\n{ONE}"
    assert raw.execute("FUNCTION", "LOAD", code) == b"a"
    assert refused(raw, "FUNCTION", "LOAD", code) == "ERR Library 'a' already exists"
    other = code.replace("=a", "=b")
    assert refused(raw, "FUNCTION", "LOAD", other) == "ERR Function one already exists"
    upper = other.replace("'one'", "'ONE'")
    assert refused(raw, "FUNCTION", "LOAD", upper) == "ERR Function ONE already exists"
    assert refused(raw, "FUNCTION", "LOAD", "REPLACE", "#!lua name=a\n").startswith("ERR No fun")
    assert raw.execute("FCALL", "One", 0) == 1
    assert raw.execute("FUNCTION", "LOAD", "REPLACE", code.replace("return 1", "return 2")) == b"a"
    assert raw.execute("FCALL", "one", 0) == 2
    assert refused(raw, "FUNCTION", "DELETE", "A") == "ERR Library not found"
    assert raw.execute("FUNCTION", "DELETE", "a") == b"OK"
    assert refused(raw, "FCALL", "one", 0) == "ERR Function not found"


@pytest.mark.parametrize(("args", "expected"), CALLS)
def test_calls(raw: Raw, args: tuple[str | int, ...], expected: Any) -> None:
    raw.execute("DEL", "k")
    raw.execute("FUNCTION", "LOAD", LIBRARY)
    if isinstance(expected, ReplyError):
        assert refused(raw, *args) == str(expected)
    else:
        assert raw.execute(*args) == expected


def test_locals_of_a_library_last_and_scripts_are_apart(raw: Raw) -> None:
    raw.execute("FUNCTION", "LOAD", LIBRARY)
    assert [raw.execute("FCALL", "count", 0) for _ in range(3)] == [1, 2, 3]
    raw.execute("SCRIPT", "FLUSH")
    assert raw.execute("FCALL", "count", 0) == 4
    raw.execute("FUNCTION", "LOAD", "REPLACE", LIBRARY)
    assert raw.execute("FCALL", "count", 0) == 1
    assert raw.execute("EVAL", "return redis.register_function == nil", 0) == 1


def test_list_and_stats(raw: Raw, server: Server) -> None:
    body = (
        "redis.register_function{function_name='f', callback=function() end, "
        "description='what f does', flags={'no-writes'}}"
    )
    code = f"#!lua name=Lib\n{body}"
    raw.execute("FUNCTION", "LOAD", code)
    function = [b"name", b"f", b"description", b"what f does", b"flags", [b"no-writes"]]
    fields = [b"library_name", b"Lib", b"engine", b"LUA", b"functions", [function]]
    assert raw.execute("FUNCTION", "LIST") == [fields]
    assert raw.execute("FUNCTION", "LIST", "libraryname", "l*", "WITHCODE") == [
        [*fields, b"library_code", code.encode()]
    ]
    assert raw.execute("FUNCTION", "LIST", "LIBRARYNAME", "x*") == []
    assert refused(raw, "FUNCTION", "LIST", "LIBRARYNAME").endswith("argument was not given")
    assert refused(raw, "FUNCTION", "LIST", "WITHCODE", "WITHCODE") == (
        "ERR Unknown argument WITHCODE"
    )
    assert server.raw(3).execute("FUNCTION", "STATS") == {
        b"running_script": None,
        b"engines": {b"LUA": {b"libraries_count": 1, b"functions_count": 1}},
    }
    assert refused(raw, "FUNCTION", "KILL") == "NOTBUSY No scripts in execution right now."
    assert refused(raw, "FUNCTION", "FLUSH", "x") == (
        "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"
    )
    assert refused(raw, "FUNCTION", "LOAD", "x", "y") == "ERR Unknown option given: x"


def test_functions_in_a_transaction(raw: Raw) -> None:
    raw.execute("FUNCTION", "LOAD", LIBRARY)
    raw.execute("MULTI")
    raw.execute("FCALL", "count", 0)
    raw.execute("FCALL", "count", 0)
    assert raw.execute("EXEC") == [1, 2]


def test_a_function_cannot_register_another(raw: Raw) -> None:
    code = (
        "#!lua name=keeps\nlocal kept = redis.register_function\n"
        "kept('f', function() kept('g', function() return 1 end) end)"
    )
    raw.execute("FUNCTION", "LOAD", code)
    assert refused(raw, "FCALL", "f", 0).startswith(
        "ERR redis.register_function can only be called on FUNCTION LOAD command"
    )
    assert refused(raw, "FCALL", "g", 0) == "ERR Function not found"


def test_a_limit_that_nothing_can_keep(raw: Raw) -> None:
    raw.execute("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "allkeys-lru")
    assert refused(raw, "FUNCTION", "LOAD", LIBRARY).startswith("OOM command not allowed")
    assert refused(raw, "SET", "k", 1).startswith("OOM command not allowed")
    assert raw.execute("GET", "k") is None


def test_a_script_where_memory_is_short(raw: Raw) -> None:
    raw.execute("CONFIG", "SET", "maxmemory", 1)
    assert refused(raw, "EVAL", "return redis.call('SET', 'k', 1)", 0).startswith("OOM command not")
    assert raw.execute("EVAL", "return 1", 0) == 1


def test_flags_are_listed_in_an_order_of_their_own(server: Server) -> None:
    flags = ["allow-cross-slot-keys", "no-cluster", "allow-stale", "allow-oom", "no-writes"]
    given = ", ".join(f"'{flag}'" for flag in flags)
    code = (
        "#!lua name=lib\nredis.register_function{function_name='f', callback=function() end, "
        f"flags={{{given}}}}}"
    )
    server.execute("FUNCTION", "LOAD", code)
    function = server.execute("FUNCTION", "LIST")[0][5][0]
    assert function[5] == [flag.encode() for flag in reversed(flags)]
