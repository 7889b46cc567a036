"""Payloads: the footer, and damage of any kind, which is an error or a value, never a crash.

The mutator takes real payloads, changes bits, cuts, repeats and joins them, puts the right
checksum behind, and restores: what comes of it must be "Bad data format", or a value that every
command can look at and that survives the way out and in again.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.config import Config
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.payloads import (
    RDB_VERSION_7_4,
    dump_libraries,
    dump_value,
    is_intact,
    restored_libraries,
    restored_value,
    seal,
)
from tests.engine.conftest import Run

MUTATIONS = 4000
# Each kind of value, built by commands.
SEEDS: list[list[tuple[Any, ...]]] = [
    [("SET", "k", "text")],
    [("SET", "k", 1234567)],
    [("SET", "k", "ab" * 100)],
    [("RPUSH", "k", "a", 7, "x" * 100, -70000)],
    [("SADD", "k", 1, 2, 300)],
    [("SADD", "k", "a", "b", "c")],
    [("HSET", "k", "f", "v", "g", 1)],
    [("HSET", "k", "f", "v" * 70, "g", 1)],
    [("HSET", "k", "f", "v", "g", 1), ("HPEXPIREAT", "k", 4102444800000, "FIELDS", 1, "g")],
    [("HSET", "k", "f", "v" * 70, "g", 1), ("HPEXPIREAT", "k", 4102444800000, "FIELDS", 1, "g")],
    [("ZADD", "k", 1, "a", 2.5, "b")],
    [("ZADD", "k", 1, "a" * 70, 2.5, "b")],
    [
        ("XADD", "k", "1-1", "f", "v"),
        ("XADD", "k", "1-2", "f", "w"),
        ("XADD", "k", "2-1", "g", 1, "h", 2),
        ("XDEL", "k", "1-2"),
        ("XGROUP", "CREATE", "k", "g", 0),
        ("XREADGROUP", "GROUP", "g", "alice", "COUNT", 1, "STREAMS", "k", ">"),
        ("XREADGROUP", "GROUP", "g", "bob", "COUNT", 1, "STREAMS", "k", ">"),
    ],
]
# Older kinds, which we only read: a ziplist of "a", a zipmap of f to v, and plain ones.
BODIES = [
    b"\x0a\x0e\x0e\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x01a\xff",
    b"\x09\x08\x01\x01f\x01\x00v\xff",
    b"\x03\x02\x01a\x031.5\x01b\xfe",
    b"\x01\x02\x01a\xc0\x07",
]
QUESTIONS = {
    b"string": [("GET", "k"), ("STRLEN", "k"), ("APPEND", "k", "x")],
    b"list": [("LRANGE", "k", 0, -1), ("RPUSH", "k", "x"), ("LPOP", "k", 100)],
    b"set": [("SMEMBERS", "k"), ("SADD", "k", "x", 5), ("SPOP", "k", 100)],
    b"hash": [
        ("HGETALL", "k"),
        ("HSET", "k", "x", "y"),
        ("HRANDFIELD", "k", 100),
        ("HTTL", "k", "FIELDS", 1, "g"),
    ],
    b"zset": [("ZRANGE", "k", 0, -1, "WITHSCORES"), ("ZADD", "k", 5, "x"), ("ZPOPMIN", "k", 100)],
    b"stream": [
        ("XINFO", "STREAM", "k", "FULL"),
        ("XRANGE", "k", "-", "+"),
        ("XREVRANGE", "k", "+", "-", "COUNT", 3),
        ("XADD", "k", "*", "x", "y"),
        ("XAUTOCLAIM", "k", "g", "zoe", 0, 0),
        ("XTRIM", "k", "MAXLEN", 1),
    ],
}


def bodies(run: Run) -> list[bytes]:
    found = list(BODIES)
    for commands in SEEDS:
        for command in commands:
            run(*command)
        found.append(run("DUMP", "k")[:-10])
        run("DEL", "k")
    return found


def mutated(source: random.Random, known: list[bytes]) -> bytes:
    body = bytearray(source.choice(known))
    for _ in range(source.randint(1, 3)):
        place = source.randrange(len(body) + 1)
        match source.randrange(6):
            case 0 | 1 | 2 if place < len(body):
                body[place] ^= 1 << source.randrange(8)
            case 3:
                del body[place:]
            case 4:
                body[place:place] = body[: source.randint(0, 20)]
            case _:
                body[place:] = source.choice(known)[place:]
    return bytes(body)


def refusal(run: Run, *args: Any) -> str | None:
    try:
        run(*args)
    except CommandError as error:
        return str(error)
    return None


def test_damaged_payloads_are_refused_or_restored(run: Run, engine: Engine) -> None:
    source = random.Random(20261126)
    known = bodies(run)
    restored = 0
    for _ in range(MUTATIONS):
        payload = seal(mutated(source, known))
        error = refusal(run, "RESTORE", "k", 0, payload, "REPLACE")
        if error is not None:
            assert error == "ERR Bad data format"
            continue
        restored += 1
        again = run("DUMP", "k")
        digest = run("DEBUG", "DIGEST-VALUE", "k")
        run("RESTORE", "again", 0, again, "REPLACE")
        assert run("DEBUG", "DIGEST-VALUE", "again") == digest
        run("COPY", "k", "copy", "REPLACE")
        run("MEMORY", "USAGE", "k", "SAMPLES", 0)
        for question in QUESTIONS[run("TYPE", "k")]:
            # An error may be: a stream whose last id is the highest, or without a group "g".
            refusal(run, *question)
        run("DEL", "k")
    # Both happen often, or the mutator is no good.
    assert MUTATIONS // 20 < restored < MUTATIONS * 19 // 20


def test_any_damaged_bit_of_a_payload_is_noticed(run: Run) -> None:
    run("RPUSH", "k", "a", "b", "c")
    payload = run("DUMP", "k")
    for bit in range(8 * len(payload)):
        changed = bytearray(payload)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CommandError, match="version or checksum"):
            run("RESTORE", "n", 0, bytes(changed))


def test_versions_are_read_up_to_that_of_redis_7_4() -> None:
    body = b"\0\1x"
    assert is_intact(seal(body))
    assert is_intact(seal(body, RDB_VERSION_7_4))
    assert not is_intact(seal(body, RDB_VERSION_7_4 + 1), verify=False)
    assert not is_intact(b"\1" + seal(body))
    assert is_intact(b"\1" + seal(body), verify=False)
    assert not is_intact(seal(body)[-9:], verify=False)


def test_kinds_of_redis_7_2() -> None:
    config = Config()
    packed = b"\x14\x0c\x0c\x00\x00\x00\x02\x00\x81a\x02\x05\x01\xff"
    assert sorted(restored_value(packed, config).members()) == [b"5", b"a"]
    assert dump_value(restored_value(packed, config), config)[0] == 2


@pytest.mark.parametrize("value", ["v", "v" * 70])
def test_fields_keep_their_deadlines(run: Run, clock: ManualClock, value: str) -> None:
    run("HSET", "k", "f", value, "g", 1, "h", 2)
    run("HPEXPIRE", "k", 5000, "FIELDS", 1, "g")
    run("HPEXPIRE", "k", 9000, "FIELDS", 1, "f")
    payload = run("DUMP", "k")
    assert payload[-10] == RDB_VERSION_7_4
    run("RESTORE", "n", 0, payload)
    assert run("HPTTL", "n", "FIELDS", 3, "f", "g", "h") == [9000, 5000, -1]
    assert run("OBJECT", "ENCODING", "n") == run("OBJECT", "ENCODING", "k")
    clock.advance(6)
    run("HPEXPIRE", "n", 9000, "FIELDS", 1, "h")
    assert sorted(run("HKEYS", "n")) == [b"f", b"h"]
    # Without deadlines it is what older versions read.
    run("HPERSIST", "n", "FIELDS", 2, "f", "h")
    assert run("DUMP", "n")[-10] == 10


def test_libraries() -> None:
    config = Config()
    codes = [b"#!lua name=a\n" + b"-" * 50, b"#!lua name=b\n"]
    assert restored_libraries(dump_libraries(codes, config)) == codes
    candidate = b"\xf6\x01a\x03LUA\x01\x04what\x04code"
    assert restored_libraries(seal(candidate)) == [b"#!LUA name=a\ncode"]
    for damaged in (b"\x00\x01a", b"\xf5\x20a", b"\xf6\x01a"):
        with pytest.raises(CorruptPayload):
            restored_libraries(seal(damaged))
