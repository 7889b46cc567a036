"""SLOWLOG, LATENCY, MEMORY, MONITOR, LOLWUT, and the CLIENT commands that act on connections."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError


def refused(server: Server, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


@pytest.fixture
def slow_server(server: Server) -> Iterator[Server]:
    """A server that logs every command."""
    server.execute("CONFIG", "SET", "slowlog-log-slower-than", 0)
    server.execute("SLOWLOG", "RESET")
    yield server
    server.execute("CONFIG", "SET", "slowlog-log-slower-than", 10000, "slowlog-max-len", 128)
    server.execute("SLOWLOG", "RESET")


def logged(server: Server, name: bytes) -> list[bytes]:
    """The arguments of the newest entry of the slow log that begins with `name`."""
    entries = server.execute("SLOWLOG", "GET", -1)
    found: list[bytes] = next(entry[3] for entry in entries if entry[3][0] == name)
    return found


def test_the_slow_log_has_what_was_executed(slow_server: Server) -> None:
    slow_server.execute("CLIENT", "SETNAME", "worker")
    slow_server.execute("SET", "key", 1)
    slow_server.execute("GET", "key")
    newest, before = slow_server.execute("SLOWLOG", "GET", 2)
    assert newest[3] == [b"GET", b"key"]
    assert before[3] == [b"SET", b"key", b"1"]
    assert newest[0] == before[0] + 1
    assert newest[5] == b"worker"
    assert newest[2] >= 0
    assert len(newest) == 6


def test_the_slow_log_cuts_what_is_long(slow_server: Server) -> None:
    slow_server.execute("RPUSH", "list", *range(40))
    slow_server.execute("SET", "key", "x" * 200)
    assert logged(slow_server, b"SET")[2] == b"x" * 128 + b"... (72 more bytes)"
    args = logged(slow_server, b"RPUSH")
    assert len(args) == 32
    assert args[30:] == [b"28", b"... (11 more arguments)"]
    slow_server.execute("RPUSH", "list", *range(30))
    assert logged(slow_server, b"RPUSH")[-1] == b"29"


def test_the_slow_log_keeps_secrets(slow_server: Server) -> None:
    raw = slow_server.raw()
    with pytest.raises(ReplyError):
        raw.execute("AUTH", "user", "password")
    raw.execute("CONFIG", "SET", "requirepass", "", "maxmemory", 0)
    raw.execute("HELLO", 2, "AUTH", "default", "password")
    assert logged(slow_server, b"AUTH") == [b"AUTH", b"(redacted)", b"(redacted)"]
    entry = logged(slow_server, b"CONFIG")
    assert entry[2:] == [b"requirepass", b"(redacted)", b"maxmemory", b"0"]
    entry = logged(slow_server, b"HELLO")
    assert entry[2:] == [b"AUTH", b"(redacted)", b"(redacted)"]


def test_transactions_and_scripts_in_the_slow_log(slow_server: Server) -> None:
    slow_server.execute("MULTI")
    slow_server.execute("INCR", "n")
    slow_server.execute("EXEC")
    slow_server.execute("EVAL", "return redis.call('get', 'n')", 0)
    names = [entry[3][0] for entry in slow_server.execute("SLOWLOG", "GET", 4)]
    assert names == [b"EVAL", b"get", b"INCR", b"MULTI"]
    assert slow_server.execute("SLOWLOG", "GET", 3)[2][4] == b"?:0"


def test_the_length_of_the_slow_log(slow_server: Server) -> None:
    slow_server.execute("CONFIG", "SET", "slowlog-max-len", 3)
    for number in range(5):
        slow_server.execute("SET", "key", number)
    assert slow_server.execute("SLOWLOG", "LEN") == 3
    assert len(slow_server.execute("SLOWLOG", "GET", 2)) == 2
    assert slow_server.execute("SLOWLOG", "GET", 0) == []
    slow_server.execute("CONFIG", "SET", "slowlog-log-slower-than", -1)
    assert slow_server.execute("SLOWLOG", "RESET") == b"OK"
    slow_server.execute("PING")
    assert slow_server.execute("SLOWLOG", "LEN") == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("SLOWLOG", "GET", "x"), "ERR count should be greater than or equal to -1"),
        (("SLOWLOG", "GET", -2), "ERR count should be greater than or equal to -1"),
        (
            ("SLOWLOG", "GET", 1, 2),
            "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
        ),
        (("SLOWLOG", "NOPE"), "ERR unknown subcommand 'NOPE'. Try SLOWLOG HELP."),
        (("LATENCY", "GRAPH", "nope"), "ERR No samples available for event 'nope'"),
        (("CLIENT", "KILL", "1.2.3.4:5"), "ERR No such client"),
        (("CLIENT", "KILL", "ID", "x"), "ERR client-id should be greater than 0"),
        (("CLIENT", "KILL", "ID", 0), "ERR client-id should be greater than 0"),
        (("CLIENT", "KILL", "TYPE", "foo"), "ERR Unknown client type 'foo'"),
        (("CLIENT", "KILL", "USER", "nobody"), "ERR No such user 'nobody'"),
        (("CLIENT", "KILL", "SKIPME", "maybe"), "ERR syntax error"),
        (("CLIENT", "KILL", "FOO", "bar"), "ERR syntax error"),
        (("CLIENT", "KILL", "ID", 1, "ID"), "ERR syntax error"),
        (("CLIENT", "PAUSE", "x"), "ERR timeout is not an integer or out of range"),
        (("CLIENT", "PAUSE", -1), "ERR timeout is negative"),
        (("CLIENT", "PAUSE", 1, "NOW"), "ERR CLIENT PAUSE mode must be WRITE or ALL"),
        (("CLIENT", "REPLY", "MAYBE"), "ERR syntax error"),
        (("LOLWUT", "VERSION", "x"), "ERR value is not an integer or out of range"),
    ],
)
def test_refused(server: Server, args: tuple[str | int, ...], message: str) -> None:
    assert refused(server, *args) == message


@pytest.mark.parametrize("name", ["SLOWLOG", "MEMORY"])
def test_help(server: Server, name: str) -> None:
    lines = server.execute(name, "HELP")
    assert lines[0] == f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:".encode()
    assert lines[-2:] == [b"HELP", b"    Prints this help."]
    assert len(lines) in (12, 14)


def test_latency_of_a_slow_command(server: Server) -> None:
    server.execute("LATENCY", "RESET")
    assert server.execute("LATENCY", "LATEST") == []
    assert server.execute("LATENCY", "HISTORY", "command") == []
    server.execute("CONFIG", "SET", "latency-monitor-threshold", 1)
    try:
        server.execute("EVAL", "for i = 1, 2000000 do local x = i * 2 end", 0)
        (event,) = (e for e in server.execute("LATENCY", "LATEST") if e[0] == b"command")
        assert event[2] >= 1
        assert event[3] == event[2]
        assert server.execute("LATENCY", "HISTORY", "command") == [event[1:3]]
        graph = server.execute("LATENCY", "GRAPH", "command").decode()
        first, dashes, *_rows = graph.split("\n")
        latency_ms = event[2]
        assert first == (
            f"command - high {latency_ms} ms, low {latency_ms} ms (all time high {latency_ms} ms)"
        )
        assert dashes == "-" * 80
        assert b"command" in server.execute("LATENCY", "DOCTOR")
        assert server.execute("LATENCY", "RESET", "command", "nope") == 1
    finally:
        server.execute("CONFIG", "SET", "latency-monitor-threshold", 0)
        server.execute("LATENCY", "RESET")


def test_memory(server: Server) -> None:
    assert b"empty" in server.execute("MEMORY", "DOCTOR")
    assert server.execute("MEMORY", "PURGE") == b"OK"
    server.execute("SET", "key", "x" * 1000)
    stats = server.raw(protocol=3).execute("MEMORY", "STATS")
    assert stats[b"keys.count"] == 1
    assert stats[b"dataset.bytes"] >= 1000
    assert isinstance(stats[b"peak.percentage"], float)
    assert server.execute("MEMORY", "MALLOC-STATS")


def test_monitor(server: Server) -> None:
    monitor, raw = server.raw(), server.raw()
    assert monitor.execute("MONITOR") == b"OK"
    raw.execute("SET", "key", 'a\n\x00"\\\t\xe9')
    raw.execute("SELECT", 2)
    raw.execute("MULTI")
    raw.execute("INCR", "n")
    raw.execute("EXEC")
    with pytest.raises(ReplyError):
        raw.execute("AUTH", "secret")
    raw.execute("CONFIG", "GET", "maxmemory")
    raw.execute("eval", "return redis.call('get', 'n')", 0)
    lines = [monitor.receive().decode() for _ in range(8)]
    parts = [re.fullmatch(r"\d{10}\.\d{6} \[(\d+) (\S*)\] (.*)", line) for line in lines]
    assert [(part[1], part[3]) for part in parts if part] == [
        ("0", r'"SET" "key" "a\n\x00\"\\\t\xc3\xa9"'),
        ("2", '"SELECT" "2"'),
        ("2", '"MULTI"'),
        ("2", '"INCR" "n"'),
        ("2", '"EXEC"'),
        ("2", '"AUTH" "(redacted)"'),
        ("2", '"eval" "return redis.call(\'get\', \'n\')" "0"'),
        ("2", '"get" "n"'),
    ]
    assert parts[-1] is not None
    assert parts[-1][2] == "lua"
    assert b"flags=O " in raw.execute("CLIENT", "LIST")
    with pytest.raises(ReplyError) as caught:
        monitor.execute("GET", "key")
    assert str(caught.value) == "ERR Replica can't interact with the keyspace"
    assert monitor.execute("RESET") == b"RESET"
    raw.execute("SELECT", 0)
    assert monitor.execute("GET", "key") is not None
    with pytest.raises(ReplyError):
        raw.execute("EVAL", "return redis.call('monitor')", 0)


def test_monitor_from_a_client(server: Server) -> None:
    client, other = server.client(), server.client()
    with client.monitor() as monitor:
        other.set("key", "value")
        other.get("key")
        commands = []
        while len(commands) < 2:
            shown = monitor.next_command()
            if shown["command"].split()[0] in ("SET", "GET"):
                commands.append(shown["command"])
    assert commands == ["SET key value", "GET key"]


def test_kill(server: Server) -> None:
    own = server.execute("CLIENT", "ID")
    victim = server.raw()
    number = victim.execute("CLIENT", "ID")
    assert server.execute("CLIENT", "KILL", "ID", number, "TYPE", "pubsub") == 0
    assert server.execute("CLIENT", "KILL", "ID", number, "USER", "default") == 1
    assert server.execute("CLIENT", "KILL", "ID", number) == 0
    assert b"id=%d " % number not in server.execute("CLIENT", "LIST")
    assert server.execute("CLIENT", "KILL", "ID", own) == 0
    listener = server.raw()
    listener.execute("SUBSCRIBE", "news")
    assert server.execute("CLIENT", "KILL", "TYPE", "PUBSUB") == 1
    assert server.execute("PUBLISH", "news", "x") == 0


def test_pausing_writes(server: Server) -> None:
    assert server.execute("DBSIZE") == 0
    raw = server.raw()
    assert server.execute("CLIENT", "PAUSE", 100_000, "WRITE") == b"OK"
    try:
        assert raw.execute("GET", "key") is None
        raw.send("SET", "key", "value")
        while b"flags=b" not in server.execute("CLIENT", "LIST"):
            pass
        assert server.execute("GET", "key") is None
    finally:
        assert server.execute("CLIENT", "UNPAUSE") == b"OK"
    assert raw.receive() == b"OK"
    assert server.execute("GET", "key") == b"value"


@pytest.mark.parametrize(
    "args",
    [("PUBLISH", "a", "b"), ("PFCOUNT", "key"), ("EVAL", "return 0", 0), ("DEL", "key")],
)
def test_what_counts_as_a_write(server: Server, args: tuple[str | int, ...]) -> None:
    assert server.execute("DBSIZE") == 0
    raw = server.raw()
    server.execute("CLIENT", "PAUSE", 50, "WRITE")
    before = server.execute("TIME")
    assert raw.execute(*args) == 0
    after = server.execute("TIME")
    microseconds = (int(after[0]) - int(before[0])) * 10**6 + int(after[1]) - int(before[1])
    assert microseconds >= 45_000


def test_scripts_that_do_not_write_are_not_paused(server: Server) -> None:
    read_only = "#!lua flags=no-writes\nreturn 7"
    sha = server.execute("SCRIPT", "LOAD", read_only)
    server.execute(
        "FUNCTION", "LOAD", "REPLACE",
        "#!lua name=paused\nredis.register_function{function_name='seven', "
        "callback=function() return 7 end, flags={'no-writes'}}",
    )  # fmt: skip
    server.execute("CLIENT", "PAUSE", 100_000, "WRITE")
    try:
        raw = server.raw()
        assert raw.execute("EVAL", read_only, 0) == 7
        assert raw.execute("EVALSHA", sha, 0) == 7
        assert raw.execute("FCALL", "seven", 0) == 7
        assert raw.execute("EVAL_RO", "return 7", 0) == 7
        raw.execute("MULTI")
        raw.execute("EVAL", read_only, 0)
        assert raw.execute("EXEC") == [7]
        assert b"blocked_clients:0\r\n" in raw.execute("INFO", "clients")
        raw.send("EVAL", "#!lua\nreturn 8", 0)
        while b"blocked_clients:1\r\n" not in server.execute("INFO", "clients"):
            pass
    finally:
        server.execute("CLIENT", "UNPAUSE")
        server.execute("FUNCTION", "DELETE", "paused")
    assert raw.receive() == 8


@pytest.mark.parametrize("command", ["'publish', 'a', 'b'", "'pfcount', 'key'"])
def test_what_reaches_replicas_is_no_read(server: Server, command: str) -> None:
    message = refused(server, "EVAL_RO", f"return redis.call({command})", 0)
    assert message.startswith("ERR Write commands are not allowed from read-only scripts. script:")
    assert server.execute("EVAL", f"return redis.call({command})", 0) == 0


def test_nothing_expires_during_a_pause(server: Server) -> None:
    server.execute("CONFIG", "RESETSTAT")
    server.execute("MULTI")
    server.execute("SET", "key", 1, "PX", 1)
    server.execute("CLIENT", "PAUSE", 100_000, "WRITE")
    server.execute("EXEC")
    try:
        while server.execute("GET", "key") is not None:
            pass
        assert server.execute("GET", "key") is None
        assert b"\r\nexpired_keys:0\r\n" in server.execute("INFO", "stats")
        assert server.execute("DBSIZE") == 1
    finally:
        server.execute("CLIENT", "UNPAUSE")
    server.execute("GET", "key")
    assert b"\r\nexpired_keys:1\r\n" in server.execute("INFO", "stats")


def test_a_command_that_waited_is_in_the_slow_log_once_it_is_done(slow_server: Server) -> None:
    raw = slow_server.raw()
    raw.send("BLPOP", "list", 0)
    while b"blocked_clients:1\r\n" not in slow_server.execute("INFO", "clients"):
        pass
    names = [entry[3][0] for entry in slow_server.execute("SLOWLOG", "GET", -1)]
    assert b"BLPOP" not in names
    slow_server.execute("RPUSH", "list", "a")
    assert raw.receive() == [b"list", b"a"]
    assert logged(slow_server, b"BLPOP") == [b"BLPOP", b"list", b"0"]


def test_pausing_all_ends_by_the_clock(server: Server) -> None:
    assert server.execute("DBSIZE") == 0
    raw = server.raw()
    server.execute("MULTI")
    server.execute("CLIENT", "PAUSE", 60, "ALL")
    server.execute("CLIENT", "PAUSE", 1, "WRITE")
    assert server.execute("EXEC") == [b"OK", b"OK"]
    assert raw.execute("PING") == b"PONG"
    raw.execute("MULTI")
    raw.execute("SET", "key", 1)
    assert raw.execute("EXEC") == [b"OK"]


def test_replies_off_and_skipped(server: Server) -> None:
    raw = server.raw()
    assert raw.execute("CLIENT", "REPLY", "ON") == b"OK"
    for args in (
        ("CLIENT", "REPLY", "OFF"), ("SET", "key", 1), ("NOPE",), ("GET",), ("LPUSH", "key", 1),
        ("CLIENT", "REPLY", "SKIP"),
    ):  # fmt: skip
        raw.send(*args)
    assert raw.execute("CLIENT", "REPLY", "ON") == b"OK"
    raw.send("CLIENT", "REPLY", "SKIP")
    raw.send("PING", "unheard")
    assert raw.execute("PING", "heard") == b"heard"
    raw.send("CLIENT", "REPLY", "SKIP")
    raw.send("NOPE")
    assert raw.execute("INCR", "key") == 2


def test_no_tracking(server: Server) -> None:
    assert server.execute("CLIENT", "GETREDIR") == -1
    assert server.execute("CLIENT", "TRACKINGINFO") == [
        b"flags", [b"off"], b"redirect", -1, b"prefixes", [],
    ]  # fmt: skip


def test_lolwut(server: Server) -> None:
    assert b"Redis ver. " in server.execute("LOLWUT")
    assert b"Redis ver. " in server.execute("LOLWUT", "VERSION", 5, 1, 1, 1)
