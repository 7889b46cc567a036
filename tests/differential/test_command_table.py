"""COMMAND's table is redis-server 7.0's, for every command that the two share.

Row by row and field by field, since clients route and ACL rules bite by it. Left out: the texts
of notes, which are our own, and flags that versions after 7.0 gave to a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cacheapp.engine.engine import Engine
from tests.engine_raw import EngineRaw
from tests.raw import Raw, ReplyError, SocketRaw
from tests.redis_server import HOST, RedisServer

pytestmark = pytest.mark.requires_redis

FIELDS = ("name", "arity", "flags", "first", "last", "step", "categories", "tips", "specs")
SUBCOMMANDS = 9
# Redis 7.2 gave them an option.
WITH_SCORE = (b"zrank", b"zrevrank")
Pair = tuple[Raw, Raw]


@pytest.fixture
def pair(redis_server: RedisServer) -> Iterator[Pair]:
    """A connection to redis-server and one to an engine."""
    real = SocketRaw(HOST, redis_server.port, 3)
    engine = EngineRaw(Engine(), 3)
    yield real, engine
    real.close()
    engine.close()


def rows(raw: Raw) -> dict[bytes, list[Any]]:
    """Every row of a server's table, those of children too, by name."""
    found = {}
    for row in raw.execute("COMMAND"):
        for each in (row, *row[SUBCOMMANDS]):
            found[each[0]] = each
    return found


def comparable(row: list[Any]) -> dict[str, Any]:
    """A row's fields by name, with what is a set sorted, and notes as whether there is one."""
    fields: dict[str, Any] = dict(zip(FIELDS, row, strict=False))
    for name in ("flags", "categories", "tips"):
        fields[name] = sorted(fields[name])
    fields["specs"] = [
        {**spec, b"flags": sorted(spec[b"flags"]), b"notes": b"notes" in spec}
        for spec in fields["specs"]
    ]
    return fields


def test_rows_are_redis_s(pair: Pair) -> None:
    real, engine = map(rows, pair)
    shared = sorted(set(real) & set(engine))
    assert len(shared) > 280
    theirs = [comparable(real[name]) for name in shared]
    ours = [comparable(engine[name]) for name in shared]
    for row in theirs:
        if row["name"] in WITH_SCORE:
            row["arity"] = -3
    assert ours == theirs


def test_a_container_s_row_holds_its_children(pair: Pair) -> None:
    real, engine = map(rows, pair)
    for name, row in engine.items():
        if name in real:
            children = {child[0] for child in row[SUBCOMMANDS]}
            assert children <= set(engine)
            assert {child[0] for child in real[name][SUBCOMMANDS]} & set(engine) <= children


def answer(raw: Raw, *args: str | bytes) -> Any:
    try:
        reply = raw.execute("COMMAND", "GETKEYSANDFLAGS", *args)
    except ReplyError as error:
        return str(error)
    return [(key, sorted(flags)) for key, flags in reply]


@pytest.mark.parametrize(
    "line",
    [
        "GET", "GET k", "SET k v", "SET k v GET", "SET k v EX 5 get", "MSET a 1 b 2", "MSET a 1 b",
        "DEL a b c", "BITOP AND d a b", "COPY a b DB 1", "RENAME a b", "SMOVE a b m",
        "BITFIELD k GET u8 0", "BITFIELD k GET u8 0 SET u8 0 1", "BITFIELD k OVERFLOW FAIL",
        "BITFIELD k OVERFLOW", "BITFIELD k", "BITFIELD_RO k GET u8 0", "SORT k",
        "SORT k BY w GET v STORE d", "SORT k STORE a STORE b", "SORT k GET STORE", "SORT k STORE",
        "SORT_RO k BY w", "LMPOP 2 a b LEFT", "LMPOP 3 a b", "LMPOP 0 a b", "LMPOP x a b",
        "BLMPOP 0 2 a b LEFT", "ZUNIONSTORE d 2 a b WEIGHTS 1 2", "ZUNIONSTORE d 3 a",
        "ZINTER 2 a b", "ZDIFF 1 a", "SINTERCARD 2 a b LIMIT 3", "SINTERSTORE d a b",
        "ZRANGESTORE d s 0 1", "GEORADIUS k 1 2 3 m", "GEORADIUS k 1 2 3 m STORE d",
        "GEORADIUS k 1 2 3 m storedist d", "GEORADIUS k 1 2 3 m STORE a STOREDIST b",
        "GEORADIUSBYMEMBER k m 3 m STORE d", "GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m",
        "XREAD STREAMS a b 0 0", "XREAD COUNT 1 STREAMS a 0", "XREAD STREAMS a b 0",
        "XREAD BLOCK 0 COUNT", "XREADGROUP GROUP g STREAMS STREAMS a b > >",
        "XREADGROUP GROUP STREAMS c STREAMS a >", "EVAL s 2 a b c", "EVAL s 0", "EVAL s -1",
        "EVAL s x", "EVAL s 3 a", "EVALSHA_RO s 1 a", "FCALL f 1 a", "FCALL_RO f 0",
        "OBJECT ENCODING k", "OBJECT HELP", "OBJECT", "OBJECT NONSENSE k", "MEMORY USAGE k",
        "XINFO STREAM k", "XGROUP CREATE k g 0", "PING x", "NONSENSE k", "SUBSCRIBE a",
        "SSUBSCRIBE a", "SPUBLISH a m", "CONFIG GET a", "WATCH a b", "TOUCH a b", "PFCOUNT a b",
        "PFMERGE d a b", "LCS a b", "BZPOPMIN a b 0", "MOVE a 1", "XADD k * f v",
    ],
)  # fmt: skip
def test_keys_and_flags(pair: Pair, line: str) -> None:
    real, engine = pair
    assert answer(engine, *line.split()) == answer(real, *line.split())


LATER = ("7.2", "7.4")


def syntax(arguments: list[Any]) -> list[Any]:
    """A tree of arguments with flags sorted, without what came after 7.0."""
    return [
        {
            **argument,
            b"flags": sorted(argument.get(b"flags", [])),
            b"arguments": syntax(argument.get(b"arguments", [])),
        }
        for argument in arguments
        if not argument.get(b"since", b"").decode().startswith(LATER)
    ]


def documented(docs: dict[bytes, Any]) -> dict[bytes, Any]:
    """What two servers should agree on; texts are our own, so only whether they are there."""
    facts = {name: docs.get(name) for name in (b"since", b"group", b"deprecated_since")}
    facts[b"replaced_by"] = docs.get(b"replaced_by")
    facts[b"texts"] = bool(docs[b"summary"]), b"complexity" in docs
    facts[b"doc_flags"] = sorted(docs.get(b"doc_flags", []))
    facts[b"history"] = sorted(
        since for since, _ in docs.get(b"history", []) if not since.decode().startswith(LATER)
    )
    facts[b"arguments"] = syntax(docs.get(b"arguments", []))
    return facts


def manual(raw: Raw) -> dict[bytes, dict[bytes, Any]]:
    """The documentation of every command, children's too, by name."""
    found = {}
    for name, docs in raw.execute("COMMAND", "DOCS").items():
        for child, of_child in docs.pop(b"subcommands", {}).items():
            found[child] = documented(of_child)
        found[name] = documented(docs)
    return found


def test_documentation_has_redis_s_facts(pair: Pair) -> None:
    real, engine = map(manual, pair)
    shared = sorted(set(real) & set(engine))
    assert len(shared) > 280
    for name in shared:
        assert engine[name] == real[name], name
