"""MULTI, EXEC, DISCARD, WATCH and UNWATCH."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import Raw, ReplyError

ABORTED = "EXECABORT Transaction discarded because of previous errors."


def refused(raw: Raw, *args: str | int | bytes) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


@pytest.fixture(params=[2, 3])
def raw(request: pytest.FixtureRequest, server: Server) -> Raw:
    """A connection of each protocol."""
    return server.raw(request.param)


def test_commands_are_queued_and_run_together(raw: Raw, server: Server) -> None:
    assert raw.execute("MULTI") == b"OK"
    assert raw.execute("SET", "k", 1) == b"QUEUED"
    assert raw.execute("INCRBY", "k", 4) == b"QUEUED"
    assert raw.execute("GET", "k") == b"QUEUED"
    assert server.raw().execute("EXISTS", "k") == 0
    assert raw.execute("EXEC") == [b"OK", 5, b"5"]


def test_an_empty_transaction(raw: Raw) -> None:
    raw.execute("MULTI")
    assert raw.execute("EXEC") == []


def test_each_answer_has_the_shape_of_the_protocol(server: Server) -> None:
    for protocol, expected in ((2, [b"f", b"v"]), (3, {b"f": b"v"})):
        raw = server.raw(protocol)
        raw.execute("HSET", "h", "f", "v")
        raw.execute("MULTI")
        raw.execute("HGETALL", "h")
        raw.execute("GET", "missing")
        assert raw.execute("EXEC") == [expected, None]


def test_an_error_while_running_is_an_element_and_the_rest_runs(raw: Raw) -> None:
    raw.execute("MULTI")
    raw.execute("SET", "k", "text")
    raw.execute("INCRBY", "k", 1)
    raw.execute("RPUSH", "k", "x")
    raw.execute("SET", "after", 1)
    assert raw.execute("EXEC") == [
        b"OK",
        ReplyError("ERR value is not an integer or out of range"),
        ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        b"OK",
    ]


@pytest.mark.parametrize("bad", [("NOPE", "x"), ("GET",), ("OBJECT", "NOPE")])
def test_an_error_while_queueing_spoils_the_transaction(raw: Raw, bad: tuple[str, ...]) -> None:
    raw.execute("MULTI")
    raw.execute("SET", "k", 1)
    refused(raw, *bad)
    assert raw.execute("SET", "k", 2) == b"QUEUED"
    assert refused(raw, "EXEC") == ABORTED
    assert raw.execute("EXISTS", "k") == 0
    raw.execute("MULTI")
    raw.execute("PING")
    assert raw.execute("EXEC") == [b"PONG"]


def test_an_exec_with_arguments_ends_the_transaction(raw: Raw) -> None:
    raw.execute("MULTI")
    raw.execute("SET", "k", 1)
    assert refused(raw, "EXEC", "x") == (
        "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"
    )
    assert refused(raw, "EXEC") == "ERR EXEC without MULTI"


def test_what_is_not_queued(raw: Raw) -> None:
    assert refused(raw, "EXEC") == "ERR EXEC without MULTI"
    assert refused(raw, "DISCARD") == "ERR DISCARD without MULTI"
    raw.execute("MULTI")
    assert refused(raw, "MULTI") == "ERR MULTI calls can not be nested"
    assert refused(raw, "WATCH", "k") == "ERR WATCH inside MULTI is not allowed"
    assert raw.execute("UNWATCH") == b"QUEUED"
    assert raw.execute("EXEC") == [b"OK"]


def test_what_a_full_memory_refuses_in_a_transaction(raw: Raw) -> None:
    oom = "OOM command not allowed when used memory > 'maxmemory'."
    raw.execute("MULTI")
    raw.execute("CONFIG", "SET", "maxmemory", 1)
    assert raw.execute("EXEC") == [b"OK"]
    raw.execute("MULTI")
    for args in (("GET", "k"), ("MULTI",), ("WATCH", "k")):
        assert refused(raw, *args) == oom
    assert raw.execute("DISCARD") == b"OK"


def test_discard_forgets_the_queue_and_the_watches(raw: Raw, server: Server) -> None:
    raw.execute("WATCH", "k")
    server.raw().execute("SET", "k", "other")
    raw.execute("MULTI")
    raw.execute("SET", "k", "mine")
    assert raw.execute("DISCARD") == b"OK"
    assert raw.execute("GET", "k") == b"other"
    raw.execute("MULTI")
    raw.execute("GET", "k")
    assert raw.execute("EXEC") == [b"other"]


def exec_after(raw: Raw) -> object:
    """The result of a transaction of one PING: None where a watched key has changed."""
    raw.execute("MULTI")
    raw.execute("PING")
    return raw.execute("EXEC")


@pytest.mark.parametrize(
    "change",
    [
        ("SET", "k", "new"),
        ("SET", "k", "old"),
        ("DEL", "k"),
        ("RENAME", "k", "elsewhere"),
        ("RENAME", "other", "k"),
        ("COPY", "other", "k", "REPLACE"),
        ("PEXPIRE", "k", 100000),
        ("APPEND", "k", "x"),
        ("FLUSHDB",),
        ("FLUSHALL",),
        ("SWAPDB", 0, 1),
        ("MOVE", "k", 1),
        ("EVAL", "redis.call('SET', KEYS[1], 'script')", 1, "k"),
    ],
)
def test_a_watched_key_that_changed(
    raw: Raw, server: Server, change: tuple[str | int, ...]
) -> None:
    raw.execute("MSET", "k", "old", "other", "x")
    raw.execute("WATCH", "unrelated", "k")
    server.raw().execute(*change)
    assert exec_after(raw) is None
    assert exec_after(raw) == [b"PONG"]


@pytest.mark.parametrize(
    "change",
    [
        ("GET", "k"),
        ("SET", "other", 1),
        ("DEL", "missing"),
        ("PERSIST", "k"),
        ("SET", "k", "x", "NX"),
        ("FLUSHDB", "SYNC", "extra"),
    ],
)
def test_what_is_no_change_of_a_watched_key(
    raw: Raw, server: Server, change: tuple[str | int, ...]
) -> None:
    raw.execute("SET", "k", "old")
    raw.execute("WATCH", "k")
    if "extra" in change:
        refused(server.raw(), *change)
    else:
        server.raw().execute(*change)
    assert exec_after(raw) == [b"PONG"]


def test_a_missing_key_is_watched_too(raw: Raw, server: Server) -> None:
    raw.execute("WATCH", "k")
    server.raw().execute("FLUSHALL")
    assert exec_after(raw) == [b"PONG"]
    raw.execute("WATCH", "k")
    server.raw().execute("SET", "k", 1)
    assert exec_after(raw) is None


def test_one_s_own_change_counts(raw: Raw) -> None:
    raw.execute("WATCH", "k")
    raw.execute("SET", "k", 1)
    assert exec_after(raw) is None


def test_unwatch_forgets_what_had_changed(raw: Raw, server: Server) -> None:
    raw.execute("WATCH", "k")
    server.raw().execute("SET", "k", 1)
    assert raw.execute("UNWATCH") == b"OK"
    assert exec_after(raw) == [b"PONG"]


def test_a_watch_stays_with_its_database(raw: Raw, server: Server) -> None:
    raw.execute("WATCH", "k")
    raw.execute("SELECT", 1)
    other = server.raw()
    other.execute("SELECT", 1)
    other.execute("SET", "k", 1)
    assert exec_after(raw) == [b"PONG"]
    raw.execute("SELECT", 0)
    raw.execute("WATCH", "k")
    raw.execute("SELECT", 1)
    server.raw().execute("SET", "k", 1)
    assert exec_after(raw) is None


def test_swapdb_touches_the_keys_of_both_databases(raw: Raw, server: Server) -> None:
    other = server.raw()
    other.execute("SELECT", 1)
    other.execute("SET", "there", 1)
    raw.execute("WATCH", "there")
    other.execute("SWAPDB", 0, 1)
    assert exec_after(raw) is None
    raw.execute("WATCH", "nowhere")
    other.execute("SWAPDB", 0, 1)
    assert exec_after(raw) == [b"PONG"]


def set_due(raw: Raw, key: str) -> None:
    """A key that is past its deadline, and that nobody has reclaimed."""
    raw.execute("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    raw.execute("SET", key, 1, "PX", 1)
    raw.execute("DEBUG", "SLEEP", 0.01)


def test_a_due_key_that_swapdb_brings_is_no_change(raw: Raw, server: Server) -> None:
    other = server.raw()
    set_due(other, "k")
    raw.execute("SELECT", 1)
    raw.execute("WATCH", "k")
    other.execute("SWAPDB", 0, 1)
    assert exec_after(raw) == [b"PONG"]


def test_a_due_key_that_swapdb_takes_away_is_no_change(raw: Raw, server: Server) -> None:
    other = server.raw()
    set_due(raw, "k")
    raw.execute("WATCH", "k")
    other.execute("SWAPDB", 0, 1)
    assert exec_after(raw) == [b"PONG"]


def test_a_due_key_that_swapdb_brings_and_somebody_writes(raw: Raw, server: Server) -> None:
    other = server.raw()
    set_due(other, "k")
    raw.execute("SELECT", 1)
    raw.execute("WATCH", "k")
    other.execute("SWAPDB", 0, 1)
    other.execute("SELECT", 1)
    other.execute("GET", "k")
    other.execute("SET", "k", 2)
    assert exec_after(raw) is None


def test_a_live_key_that_swapdb_replaces_by_a_due_one(raw: Raw, server: Server) -> None:
    other = server.raw()
    set_due(other, "k")
    raw.execute("SELECT", 1)
    raw.execute("SET", "k", "live")
    raw.execute("WATCH", "k")
    other.execute("SWAPDB", 0, 1)
    assert exec_after(raw) is None


def test_a_watched_key_that_expired(raw: Raw) -> None:
    raw.execute("SET", "k", 1)
    raw.execute("WATCH", "k")
    raw.execute("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    raw.execute("PEXPIREAT", "k", 1)
    assert exec_after(raw) is None


def test_select_inside_a_transaction_stays(raw: Raw) -> None:
    raw.execute("MULTI")
    raw.execute("SELECT", 2)
    raw.execute("SET", "k", "two")
    assert raw.execute("EXEC") == [b"OK", b"OK"]
    assert raw.execute("GET", "k") == b"two"


def test_an_unknown_database_inside_a_transaction(raw: Raw) -> None:
    raw.execute("MULTI")
    raw.execute("SELECT", 99)
    raw.execute("SET", "k", "zero")
    assert raw.execute("EXEC") == [ReplyError("ERR DB index is out of range"), b"OK"]


def test_reset_leaves_a_transaction(raw: Raw) -> None:
    raw.execute("MULTI")
    raw.execute("SET", "k", 1)
    assert raw.execute("RESET") == b"RESET"
    assert refused(raw, "EXEC") == "ERR EXEC without MULTI"


def test_publish_inside_a_transaction(raw: Raw, server: Server) -> None:
    listener = server.raw()
    listener.execute("SUBSCRIBE", "news")
    raw.execute("MULTI")
    raw.execute("PUBLISH", "news", "hello")
    assert raw.execute("EXEC") == [1]
    assert listener.receive() == [b"message", b"news", b"hello"]


def test_subscribing_inside_a_transaction_in_resp2(server: Server) -> None:
    raw = server.raw(2)
    raw.execute("MULTI")
    raw.execute("SUBSCRIBE", "a", "b")
    assert raw.execute("EXEC") == [[b"subscribe", b"a", 1]]
    assert raw.receive() == [b"subscribe", b"b", 2]


def test_a_script_inside_a_transaction(raw: Raw) -> None:
    raw.execute("MULTI")
    raw.execute("EVAL", "return redis.call('INCRBY', KEYS[1], 2)", 1, "k")
    raw.execute("EVAL", "return redis.error_reply('MINE text')", 0)
    assert raw.execute("EXEC") == [2, ReplyError("MINE text")]


def test_a_limit_that_a_transaction_sets_evicts_after_it(server: Server) -> None:
    server.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        server.execute("MULTI")
        for line in ("INCR x", "CONFIG SET maxmemory 1", "INCR x"):
            server.execute(*line.split())
        assert server.execute("EXEC") == [1, b"OK", 2]
        # Redis evicts on its own time; a client that waits lets it.
        turns = (server.execute("BLPOP", "none", 0.02) for _ in range(500))
        assert any(server.execute("DBSIZE") == 0 for _ in turns)
    finally:
        server.execute("CONFIG", "SET", "maxmemory", 0, "maxmemory-policy", "noeviction")
