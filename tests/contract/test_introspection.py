"""COMMAND, OBJECT, MEMORY USAGE, INFO, TIME and DEBUG on both servers."""

from __future__ import annotations

import time

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError


def refused(server: Server, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def info(server: Server, *sections: str) -> dict[str, str]:
    lines = server.execute("INFO", *sections).decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize(
    "args",
    [
        ("GET", "a"),
        ("MSET", "a", 1, "b", 2),
        ("DEL", "a", "b", "c"),
        ("OBJECT", "ENCODING", "a"),
        ("ZUNIONSTORE", "out", 2, "a", "b", "WEIGHTS", 1, 2),
        ("EVAL", "return 1", 2, "a", "b", "arg"),
        ("SORT", "a", "BY", "w_*", "GET", "v_*", "STORE", "out"),
        ("RENAME", "a", "b"),
        ("LMPOP", 2, "a", "b", "LEFT"),
        ("SINTERCARD", 2, "a", "b"),
        ("COPY", "a", "b"),
    ],
)
def test_getkeys(server: Server, args: tuple[str | int, ...]) -> None:
    expected = {
        "GET": ["a"],
        "MSET": ["a", "b"],
        "DEL": ["a", "b", "c"],
        "OBJECT": ["a"],
        "ZUNIONSTORE": ["out", "a", "b"],
        "EVAL": ["a", "b"],
        "SORT": ["a", "out"],
        "RENAME": ["a", "b"],
        "LMPOP": ["a", "b"],
        "SINTERCARD": ["a", "b"],
        "COPY": ["a", "b"],
    }[str(args[0])]
    assert server.execute("COMMAND", "GETKEYS", *args) == [key.encode() for key in expected]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("h 1 k 0 5", ["k"]),
        ("h 1 k 0 5 COPY REPLACE", ["k"]),
        ("h 1 '' 0 5 KEYS a b", ["a", "b"]),
        ("h 1 '' 0 5 COPY keys a keys", ["a", "keys"]),
        ("h 1 '' 0 5 AUTH keys KEYS a", ["a"]),
        ("h 1 '' 0 5 AUTH2 keys keys KEYS a", ["a"]),
        ("h 1 '' 0 5 AUTH keys", [""]),
    ],
)
def test_the_keys_of_migrate(server: Server, line: str, expected: list[str]) -> None:
    args = [word.replace("''", "") for word in line.split()]
    found = server.execute("COMMAND", "GETKEYS", "MIGRATE", *args)
    assert found == [key.encode() for key in expected]


def test_migrate_with_a_key_and_keys_has_none(server: Server) -> None:
    words = ("COMMAND", "GETKEYS", "MIGRATE", "h", "1", "k", "0", "5", "KEYS", "a")
    assert refused(server, *words) == "ERR Invalid arguments specified for command"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("NONSENSE", "a"), "ERR Invalid command specified"),
        (("PING", "a"), "ERR The command has no key arguments"),
        (("GET", "a", "b"), "ERR Invalid number of arguments specified for command"),
    ],
)
def test_getkeys_refuses(server: Server, args: tuple[str, ...], message: str) -> None:
    assert refused(server, "COMMAND", "GETKEYS", *args) == message


@pytest.mark.parametrize(
    "name", ["get", "set", "del", "zadd", "hgetall", "lpush", "expire", "mset"]
)
def test_command_info_has_the_table_s_facts(server: Server, name: str) -> None:
    row = server.execute("COMMAND", "INFO", name, "nonsense")
    assert row[1] is None
    expected = {
        "get": (2, 1, 1, 1, {b"readonly", b"fast"}, {b"@read", b"@string", b"@fast"}),
        "set": (-3, 1, 1, 1, {b"write", b"denyoom"}, {b"@write", b"@string", b"@slow"}),
        "del": (-2, 1, -1, 1, {b"write"}, {b"@keyspace", b"@write", b"@slow"}),
        "zadd": (
            -4,
            1,
            1,
            1,
            {b"write", b"denyoom", b"fast"},
            {b"@write", b"@sortedset", b"@fast"},
        ),
        "hgetall": (2, 1, 1, 1, {b"readonly"}, {b"@read", b"@hash", b"@slow"}),
        "lpush": (-3, 1, 1, 1, {b"write", b"denyoom", b"fast"}, {b"@write", b"@list", b"@fast"}),
        "expire": (-3, 1, 1, 1, {b"write", b"fast"}, {b"@keyspace", b"@write", b"@fast"}),
        "mset": (-3, 1, -1, 2, {b"write", b"denyoom"}, {b"@write", b"@string", b"@slow"}),
    }[name]
    found = row[0]
    assert found[0] == name.encode()
    assert (found[1], found[3], found[4], found[5]) == expected[:4]
    assert set(found[2]) == expected[4]
    assert set(found[6]) == expected[5]


def test_command_count_list_and_docs(server: Server) -> None:
    assert server.execute("COMMAND", "COUNT") == len(server.execute("COMMAND"))
    names = server.execute("COMMAND", "LIST", "FILTERBY", "PATTERN", "ZRANGE*")
    assert {b"zrange", b"zrangebyscore", b"zrangestore"} <= set(names)
    assert b"get" in server.execute("COMMAND", "LIST", "FILTERBY", "ACLCAT", "string")
    assert server.execute("COMMAND", "LIST", "FILTERBY", "ACLCAT", "nonsense") == []
    assert refused(server, "COMMAND", "LIST", "FILTERBY", "x", "y") == "ERR syntax error"
    docs = server.raw(protocol=3).execute("COMMAND", "DOCS", "get", "nonsense")
    assert list(docs) == [b"get"]
    assert docs[b"get"][b"since"] == b"1.0.0"
    assert docs[b"get"][b"group"] == b"string"


@pytest.mark.parametrize(
    ("commands", "encoding"),
    [
        ([("SET", "k", "12345")], b"int"),
        ([("SET", "k", "012")], b"embstr"),
        ([("SET", "k", str(2**63))], b"embstr"),
        ([("SET", "k", "x" * 44)], b"embstr"),
        ([("SET", "k", "x" * 45)], b"raw"),
        ([("SET", "k", "1"), ("APPEND", "k", "2")], b"raw"),
        ([("APPEND", "k", "12")], b"int"),
        ([("INCR", "k")], b"int"),
        ([("SET", "k", "3"), ("INCRBYFLOAT", "k", "1")], b"embstr"),
        ([("SETRANGE", "k", 0, "1")], b"raw"),
        ([("RPUSH", "k", "a")], b"quicklist"),
        ([("HSET", "k", "f", "v")], b"listpack"),
        ([("HSET", "k", "f", "v" * 65)], b"hashtable"),
        ([("SADD", "k", "1", "2")], b"intset"),
        ([("SADD", "k", "1", "a")], b"hashtable"),
        ([("SADD", "k", "1", "a"), ("SREM", "k", "a")], b"hashtable"),
        ([("ZADD", "k", 1, "a")], b"listpack"),
        ([("ZADD", "k", 1, "v" * 65)], b"skiplist"),
    ],
)
def test_object_encoding(
    server: Server, commands: list[tuple[str | int, ...]], encoding: bytes
) -> None:
    for args in commands:
        server.execute(*args)
    assert server.execute("OBJECT", "ENCODING", "k") == encoding


def test_encodings_follow_the_settings(server: Server) -> None:
    for name, value in (
        ("hash-max-listpack-entries", 2), ("zset-max-listpack-value", 3),
        ("set-max-intset-entries", 2),
    ):  # fmt: skip
        server.execute("CONFIG", "SET", name, value)
    server.execute("HSET", "hash", "a", 1, "b", 2)
    server.execute("ZADD", "zset", 1, "abc")
    server.execute("SADD", "set", 1, 2)
    names = ("hash", "zset", "set")
    before = [server.execute("OBJECT", "ENCODING", name) for name in names]
    assert before == [b"listpack", b"listpack", b"intset"]
    server.execute("HSET", "hash", "c", 1)
    server.execute("ZADD", "zset", 1, "abcd")
    server.execute("SADD", "set", 3)
    after = [server.execute("OBJECT", "ENCODING", name) for name in names]
    assert after == [b"hashtable", b"skiplist", b"hashtable"]


def test_object_freq_and_idletime_follow_the_policy(server: Server) -> None:
    server.execute("SET", "k", "v")
    assert server.execute("OBJECT", "IDLETIME", "k") == 0
    assert refused(server, "OBJECT", "FREQ", "k").startswith(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked."
    )
    server.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    server.execute("SET", "fresh", "v")
    assert 1 <= server.execute("OBJECT", "FREQ", "fresh") <= 10
    assert refused(server, "OBJECT", "IDLETIME", "fresh").startswith(
        "ERR An LFU maxmemory policy is selected, idle time not tracked."
    )


def test_object_of_a_missing_key(server: Server) -> None:
    for name in ("ENCODING", "FREQ", "IDLETIME", "REFCOUNT"):
        assert server.execute("OBJECT", name, "missing") is None
    assert server.execute("OBJECT", "HELP")[0].startswith(b"OBJECT <subcommand>")


def test_refcount_of_shared_integers(server: Server) -> None:
    server.execute("MSET", "small", 12, "large", 123456, "text", "x")
    counts = [server.execute("OBJECT", "REFCOUNT", key) for key in ("small", "large", "text")]
    assert counts == [2**31 - 1, 1, 1]


def test_memory_usage_grows_with_the_value(server: Server) -> None:
    server.execute("SET", "small", "x")
    server.execute("SET", "large", "x" * 10_000)
    small = server.execute("MEMORY", "USAGE", "small")
    large = server.execute("MEMORY", "USAGE", "large", "SAMPLES", 0)
    assert 0 < small < 500
    assert 10_000 < large < 13_000
    assert server.execute("MEMORY", "USAGE", "missing") is None
    assert refused(server, "MEMORY", "USAGE", "small", "SAMPLES", -1) == "ERR syntax error"
    assert refused(server, "MEMORY", "USAGE", "small", "NONSENSE", 1) == "ERR syntax error"


def test_info_counts(server: Server) -> None:
    server.execute("SET", "key", 1, "EX", 100)
    server.execute("SET", "lasting", 1)
    server.execute("GET", "key")
    server.execute("GET", "missing")
    refused(server, "NONSENSE")
    stats = info(server, "stats", "keyspace", "commandstats", "errorstats")
    assert stats["keyspace_hits"] == "1"
    assert stats["keyspace_misses"] == "1"
    assert stats["db0"].startswith("keys=2,expires=1,avg_ttl=")
    assert stats["cmdstat_get"].startswith("calls=2,")
    assert stats["errorstat_ERR"] == "count=1"
    assert info(server, "nonsense") == {}
    assert int(info(server, "memory")["used_memory"]) > 0
    everything = info(server, "everything")
    assert {"redis_version", "uptime_in_seconds", "connected_clients", "role"} <= set(everything)


def test_time(server: Server) -> None:
    seconds, microseconds = map(int, server.execute("TIME"))
    assert abs(seconds - time.time()) < 5
    assert 0 <= microseconds < 1_000_000


def test_debug_digest_depends_on_what_is_there_only(server: Server) -> None:
    assert server.execute("DEBUG", "DIGEST") == b"0" * 40
    server.execute("SET", "s", "text")
    server.execute("INCR", "n")
    server.execute("RPUSH", "l", "a", "b")
    server.execute("SADD", "set", "x", "y", "z")
    server.execute("ZADD", "z", 1.5, "a", 2, "b")
    server.execute("HSET", "h", "f", "v", "g", "w")
    server.execute("PEXPIREAT", "h", 4_102_444_800_000)
    # Equal numbers on both servers: this is what redis-server 7.0.15 answers.
    assert server.execute("DEBUG", "DIGEST") == b"7bfe618e60c45617f93f0c76bf9af6a345510a02"
    assert server.execute("DEBUG", "DIGEST-VALUE", "missing") == [b"0" * 40]


def test_debug_protocol_shapes(server: Server) -> None:
    raw = server.raw(protocol=3)
    assert raw.execute("DEBUG", "PROTOCOL", "map") == {0: False, 1: True, 2: False}
    assert raw.execute("DEBUG", "PROTOCOL", "double") == 3.141
    assert raw.execute("DEBUG", "PROTOCOL", "true") is True
    assert raw.execute("DEBUG", "PROTOCOL", "null") is None
    assert raw.execute("DEBUG", "PROTOCOL", "array") == [0, 1, 2]
    older = server.raw(protocol=2)
    assert older.execute("DEBUG", "PROTOCOL", "map") == [0, 0, 1, 1, 2, 0]
    assert older.execute("DEBUG", "PROTOCOL", "false") == 0


def test_debug_populate_and_error(server: Server) -> None:
    assert server.execute("DEBUG", "POPULATE", 3, "p", 8) == b"OK"
    assert server.execute("GET", "p:2") == b"value:2\x00"
    assert server.execute("DEBUG", "POPULATE", 2) == b"OK"
    assert server.execute("GET", "key:1") == b"value:1"
    assert refused(server, "DEBUG", "ERROR", "FOO bar") == "FOO bar"
    assert refused(server, "DEBUG", "NONSENSE") == (
        "ERR unknown subcommand or wrong number of arguments for 'NONSENSE'. Try DEBUG HELP."
    )
    assert refused(server, "DEBUG", "OBJECT", "missing") == "ERR no such key"
    assert b"encoding:embstr" in server.execute("DEBUG", "OBJECT", "key:1")


def test_debug_set_active_expire_leaves_due_keys_counted(server: Server) -> None:
    assert server.execute("DEBUG", "SET-ACTIVE-EXPIRE", 0) == b"OK"
    server.execute("SET", "key", 1, "PX", 1)
    server.execute("DEBUG", "SLEEP", "0.01")
    assert server.execute("DBSIZE") == 1
    assert server.execute("EXISTS", "key") == 0
    assert server.execute("DBSIZE") == 0
    assert server.execute("DEBUG", "SET-ACTIVE-EXPIRE", 1) == b"OK"


def test_debug_object_of_a_number_that_is_changed_in_place(server: Server) -> None:
    server.execute("SET", "k", 20000)
    server.execute("INCR", "k")
    before = server.execute("DEBUG", "OBJECT", "k").split()[1]
    server.execute("INCR", "k")
    assert before.startswith(b"at:0x")
    assert server.execute("DEBUG", "OBJECT", "k").split()[1] == before


def test_debug_object_shows_what_is_due(server: Server) -> None:
    server.execute("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    server.execute("SET", "k", 1, "PX", 1)
    server.execute("DEBUG", "SLEEP", 0.01)
    assert server.execute("DEBUG", "OBJECT", "k").startswith(b"Value at:")
    assert server.execute("GET", "k") is None
    assert refused(server, "DEBUG", "OBJECT", "k") == "ERR no such key"


@pytest.mark.parametrize("kind", ["bignum", "map", "double", "null", "verbatim", "true"])
def test_scripts_may_be_let_to_debug(server: Server, kind: str) -> None:
    server.execute("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 1)
    for protocol in (2, 3):
        script = f"redis.setresp({protocol}) return redis.call('DEBUG', 'PROTOCOL', '{kind}')"
        raw = server.raw(protocol)
        assert raw.execute("EVAL", script, 0) == raw.execute("DEBUG", "PROTOCOL", kind)
    server.execute("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 0)
    assert "not allowed from script" in refused(server, "EVAL", script, 0)
