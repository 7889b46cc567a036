"""EVAL, EVALSHA, EVAL_RO, EVALSHA_RO and SCRIPT, and what scripts find inside.

The tables of scripts and answers are in `scripts`.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from typing import Any

import pytest
import redis

from tests.contract.conftest import Server
from tests.contract.scripts import ERRORS, LIBRARIES, REPLIES, RESULTS
from tests.raw import Raw, ReplyError

ONE = "return 1"
NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL."


def sha1(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()


def refused(raw: Raw, *args: str | int | bytes) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


@pytest.mark.parametrize(("script", "resp2", "resp3"), [*RESULTS, *REPLIES])
def test_values_cross_both_ways(server: Server, script: str, resp2: Any, resp3: Any) -> None:
    for protocol, expected in ((2, resp2), (3, resp3)):
        raw = server.raw(protocol)
        raw.execute("FLUSHALL")
        reply = raw.execute("EVAL", script, 0)
        assert reply == expected
        assert type(reply) is type(expected)


@pytest.mark.parametrize(("script", "text", "line"), ERRORS)
def test_errors_say_what_and_where(server: Server, script: str, text: str, line: int) -> None:
    place = f" script: {sha1(script)}, on @user_script:{line}." if line else ""
    assert refused(server.raw(), "EVAL", script, 0) == text + place


@pytest.mark.parametrize(("script", "expected"), LIBRARIES)
def test_libraries(server: Server, script: str, expected: Any) -> None:
    raw = server.raw()
    if isinstance(expected, ReplyError):
        place = f" script: {sha1(script)}, on @user_script:1."
        assert refused(raw, "EVAL", script, 0) == f"ERR user_script:1: {expected}{place}"
    else:
        assert raw.execute("EVAL", script, 0) == expected


def test_keys_and_arguments(server: Server) -> None:
    raw = server.raw()
    assert raw.execute("EVAL", "return {KEYS, ARGV}", 2, "a", "b", "c") == [[b"a", b"b"], [b"c"]]
    assert raw.execute("EVAL", "return {#KEYS, #ARGV}", 0) == [0, 0]
    assert raw.execute("EVAL", "ARGV[1] = 'x' return ARGV", 0, "a") == [b"x"]
    assert raw.execute("EVAL", "return KEYS[1]", 1, b"\x00\xff\r\n") == b"\x00\xff\r\n"


def test_thousands_of_keys_and_arguments(server: Server) -> None:
    words = [f"w{number}" for number in range(9000)]
    raw = server.raw()
    script = "return {#KEYS, #ARGV, KEYS[5000], ARGV[4000]}"
    assert raw.execute("EVAL", script, 5000, *words) == [5000, 4000, b"w4999", b"w8999"]
    assert (
        raw.execute("EVAL", "return #redis.call('ECHO', ARGV[1])", 0, "x" * 3_000_000) == 3_000_000
    )


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("EVAL", ONE), "ERR wrong number of arguments for 'eval' command"),
        (("EVAL", ONE, "x"), "ERR value is not an integer or out of range"),
        (("EVAL", ONE, 1), "ERR Number of keys can't be greater than number of args"),
        (("EVAL", ONE, -1), "ERR Number of keys can't be negative"),
        (("EVALSHA", "short", "x"), NO_SCRIPT),
        (("EVALSHA", "f" * 40, 0), NO_SCRIPT),
        (("EVALSHA", "f" * 40, "x"), "ERR value is not an integer or out of range"),
        (("SCRIPT", "LOAD"), "ERR wrong number of arguments for 'script|load' command"),
        (("SCRIPT", "EXISTS"), "ERR wrong number of arguments for 'script|exists' command"),
        (("SCRIPT", "FLUSH", "x"), "ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
        (("SCRIPT", "FLUSH", "SYNC", "x"), "ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
        (("SCRIPT", "DEBUG", "x"), "ERR Use SCRIPT DEBUG YES/SYNC/NO"),
        (("SCRIPT", "KILL"), "NOTBUSY No scripts in execution right now."),
        (("SCRIPT", "NOPE"), "ERR unknown subcommand 'NOPE'. Try SCRIPT HELP."),
        (
            ("SCRIPT", "LOAD", "return ("),
            (
                "ERR Error compiling script (new function): user_script:1: "
                "unexpected symbol near '<eof>'"
            ),
        ),
    ],
)
def test_refused_arguments(server: Server, args: tuple[str | int, ...], text: str) -> None:
    assert refused(server.raw(), *args) == text


def test_the_cache_of_scripts(server: Server) -> None:
    raw, sha = server.raw(), sha1(ONE)
    assert raw.execute("SCRIPT", "EXISTS", sha, "x") == [0, 0]
    assert raw.execute("SCRIPT", "LOAD", ONE) == sha.encode()
    assert raw.execute("SCRIPT", "EXISTS", sha, sha.upper(), "f" * 40) == [1, 1, 0]
    assert raw.execute("EVALSHA", sha, 0) == 1
    assert raw.execute("EVALSHA", sha.upper(), 0) == 1
    assert raw.execute("SCRIPT", "FLUSH", "ASYNC") == b"OK"
    assert refused(raw, "EVALSHA", sha, 0) == NO_SCRIPT
    assert raw.execute("EVAL", ONE, 0) == 1
    assert raw.execute("EVALSHA", sha, 0) == 1
    assert raw.execute("SCRIPT", "FLUSH") == b"OK"
    assert raw.execute("SCRIPT", "DEBUG", "NO") == b"OK"
    assert raw.execute("SCRIPT", "HELP")[0].startswith(b"SCRIPT <subcommand>")


def test_read_only_scripts(server: Server) -> None:
    raw = server.raw()
    raw.execute("SET", "k", "v")
    assert raw.execute("EVAL_RO", "return redis.call('GET', KEYS[1])", 1, "k") == b"v"
    script = "return redis.call('SET', 'k', 'w')"
    text = f"ERR Write commands are not allowed from read-only scripts. script: {sha1(script)}"
    assert refused(raw, "EVAL_RO", script, 0) == f"{text}, on @user_script:1."
    raw.execute("SCRIPT", "LOAD", script)
    assert refused(raw, "EVALSHA_RO", sha1(script), 0) == f"{text}, on @user_script:1."
    assert raw.execute("GET", "k") == b"v"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("#!lua", 1),
        ("#!lua ", 1),
        ("#!lua flags=", 1),
        ("#!lua  flags=no-writes", 1),
        ("#!lua flags=allow-oom,allow-stale,no-cluster,allow-cross-slot-keys", 1),
        ("#!lua flags=nope", "ERR Unexpected flag in script shebang: nope"),
        ("#!lua flags=no-writes,", "ERR Unexpected flag in script shebang: "),
        ("#!lua nope", "ERR Unknown lua shebang option: nope"),
        ("#!python", "ERR Unexpected engine in script shebang: #!python"),
        ("#! lua", "ERR Unexpected engine in script shebang: #!"),
    ],
)
def test_the_shebang_line(server: Server, line: str, answer: int | str) -> None:
    raw = server.raw()
    if isinstance(answer, str):
        assert refused(raw, "EVAL", f"{line}\n{ONE}", 0) == answer
    else:
        assert raw.execute("EVAL", f"{line}\n{ONE}", 0) == answer


def test_what_the_shebang_line_changes(server: Server) -> None:
    raw = server.raw()
    assert refused(raw, "EVAL", "#!lua", 0) == "ERR Invalid script shebang"
    assert refused(raw, "EVAL", "#!lua\n\nerror('x')", 0).endswith("on @user_script:3.")
    assert "read-only scripts" in refused(
        raw, "EVAL", "#!lua flags=no-writes\nreturn redis.call('SET', 'k', 'v')", 0
    )
    assert refused(raw, "EVAL_RO", "#!lua\nreturn 1", 0) == (
        "ERR Can not execute a script with write flag using *_ro command."
    )


def test_a_script_does_not_change_its_caller(server: Server) -> None:
    raw = server.raw()
    raw.execute("EVAL", "redis.call('SELECT', 5) redis.setresp(3) return 1", 0)
    raw.execute("SET", "k", "zero")
    assert raw.execute("EVAL", "return redis.call('GET', 'k')", 0) == b"zero"
    assert raw.execute("EVAL", "return redis.call('HGETALL', 'h')", 0) == []


def test_effects_before_an_error_stay(server: Server) -> None:
    raw = server.raw()
    refused(raw, "EVAL", "redis.call('SET', 'k', 'v') error('late')", 0)
    assert raw.execute("GET", "k") == b"v"


@pytest.mark.parametrize(
    ("script", "counters"),
    [
        ("return redis.call('NOPE')", {b"errorstat_ERR:count=1"}),
        ("return redis.call('INCRBY', 's', 'x')", {b"errorstat_ERR:count=1"}),
        ("return redis.pcall('LPUSH', 's', 'x')", {b"errorstat_WRONGTYPE:count=1"}),
        ("redis.pcall('LPUSH', 's', 'x') return 1", {b"errorstat_WRONGTYPE:count=1"}),
        ("return redis.error_reply('MINE text')", {b"errorstat_MINE:count=1"}),
        ("error('x')", {b"errorstat_ERR:count=1"}),
        ("return redis.call({})", {b"errorstat_ERR:count=1"}),
    ],
)
def test_an_error_is_counted_once(server: Server, script: str, counters: set[bytes]) -> None:
    raw = server.raw()
    raw.execute("SET", "s", "v")
    raw.execute("CONFIG", "RESETSTAT")
    with contextlib.suppress(ReplyError):
        raw.execute("EVAL", script, 0)
    lines = raw.execute("INFO", "errorstats").splitlines()
    assert {line for line in lines if line.startswith(b"errorstat")} == counters


def test_random_numbers_are_redis_s_own(server: Server) -> None:
    script = "math.randomseed(1) return {math.random(1000000), math.random() * 1000000}"
    assert server.raw().execute("EVAL", script, 0) == [41631, 454492]


def test_a_double_that_is_no_number(server: Server) -> None:
    assert math.isnan(server.raw(3).execute("EVAL", "return {double = 0 / 0}", 0))


def test_scripts_of_redis_py(client: redis.Redis) -> None:
    double = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)")
    assert double(keys=["k"], args=[4]) == 8
    assert double(keys=["k"], args=[1]) == 10
    client.script_flush()
    assert double(keys=["k"], args=[1]) == 12
    with client.pipeline() as pipeline:
        double(keys=["k"], args=[1], client=pipeline)
        pipeline.get("k")
        assert pipeline.execute() == [14, b"14"]


def test_locks_of_redis_py(client: redis.Redis) -> None:
    with client.lock("lock", timeout=10) as lock:
        assert not client.lock("lock", timeout=10).acquire(blocking=False)
        lock.extend(20)
        assert 20 < client.ttl("lock") <= 30
        lock.reacquire()
        assert client.ttl("lock") <= 10
    assert not client.exists("lock")
    with pytest.raises(redis.exceptions.LockError):
        lock.release()


@pytest.mark.parametrize("count", [7900, 7995, 7999])
def test_as_many_arguments_as_unpack_gives(server: Server, count: int) -> None:
    filled = f"local a = {{}} for i = 1, {count} do a[i] = i end "
    assert server.execute("EVAL", filled + "return redis.call('RPUSH', 'l', unpack(a))", 0) == count
    assert server.execute("LINDEX", "l", -1) == b"%d" % count
    assert server.execute("EVAL", filled + "return #{unpack(a)}", 0) == count
    failed = "return redis.pcall('INCR', 'l', unpack(a))['err']"
    assert server.execute("EVAL", filled + failed, 0).startswith(b"ERR Wrong number of args")


@pytest.mark.parametrize("count", [31, 32, 33, 100])
def test_many_arguments_are_as_few(server: Server, count: int) -> None:
    values = "a[1], a[2], a[3], a[4], a[5] = 1.5, 0.1, 1e20, '', 'x\\0y \\r\\n' a[6] = -1/0 "
    script = (
        f"local a = {{}} for i = 1, {count} do a[i] = i end {values}"
        "redis.call('RPUSH', 'l', unpack(a)) return redis.call('LRANGE', 'l', 0, 7)"
    )
    assert server.execute("EVAL", script, 0) == [
        b"1.5", b"0.10000000000000001", b"1e+20", b"", b"x\0y \r\n", b"-inf", b"7", b"8",
    ]  # fmt: skip
    for wrong in ("{}", "true", "redis.call"):
        bad = f"local a = {{}} for i = 1, {count} do a[i] = {wrong} end "
        message = refused(server, "EVAL", bad + "return redis.call('RPUSH', 'l', unpack(a))", 0)
        assert "Lua redis lib command arguments must be strings or integers" in message


def test_more_than_unpack_gives(server: Server) -> None:
    script = (
        "local a = {} for i = 1, 8000 do a[i] = i end return redis.call('RPUSH', 'l', unpack(a))"
    )
    assert refused(server, "EVAL", script, 0).startswith("ERR user_script:1: too many results")


def test_the_line_of_an_error_beside_unpack(server: Server) -> None:
    server.execute("SET", "k", "text")
    script = "local a = {}\n\nreturn redis.call('INCR', 'k', unpack(a))"
    assert refused(server, "EVAL", script, 0).endswith("on @user_script:3.")
    script = "local a = {}\nlocal n = redis.call('INCR', 'k', unpack(a))\nreturn n"
    assert refused(server, "EVAL", script, 0).endswith("on @user_script:2.")
