"""CLIENT TRACKING and its kin: who is told of which change, in which form, and when."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.raw import Raw, ReplyError

BROKEN = b"tracking-redir-broken"


def invalidated(*keys: bytes) -> list[Any]:
    """The push that says so."""
    return [b"invalidate", list(keys)]


def redirected(*keys: bytes) -> list[Any]:
    """The message that a RESP2 connection gets in the place of the push."""
    return [b"message", b"__redis__:invalidate", list(keys)]


def refused(raw: Raw, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


def nothing_else(raw: Raw) -> None:
    """A push that is there comes before the next one, which is of a kind of its own."""
    raw.execute("SUBSCRIBE", "end")
    raw.execute("PUBLISH", "end", "of it")
    assert raw.receive() == [b"message", b"end", b"of it"]


@pytest.fixture
def other(server: Server) -> Raw:
    """Somebody who does not track."""
    return server.raw()


@pytest.fixture
def tracker(server: Server, other: Raw) -> Raw:
    """A RESP3 connection, to track with; keys `k` and `l` are there."""
    other.execute("MSET", "k", 1, "l", 2)
    return server.raw(3)


def test_what_was_read_is_invalidated_once(tracker: Raw, other: Raw) -> None:
    assert tracker.execute("CLIENT", "TRACKING", "on") == b"OK"
    tracker.execute("GET", "k")
    tracker.execute("EXISTS", "missing")
    other.execute("SET", "l", 1)
    other.execute("INCR", "k")
    other.execute("INCR", "k")
    other.execute("SET", "missing", 1)
    assert tracker.receive() == invalidated(b"k")
    assert tracker.receive() == invalidated(b"missing")
    nothing_else(tracker)


@pytest.mark.parametrize(
    "command",
    [
        ("GET", "k"), ("MGET", "x", "k"), ("TYPE", "k"), ("TTL", "k"), ("STRLEN", "k"),
        ("OBJECT", "ENCODING", "k"), ("HGETALL", "k"), ("SINTERCARD", 2, "x", "k"),
        ("LCS", "x", "k"), ("PFCOUNT", "k"), ("SORT_RO", "k"), ("XREAD", "STREAMS", "k", "0"),
    ],
)  # fmt: skip
def test_every_command_that_reads_counts_even_if_it_fails(
    tracker: Raw, other: Raw, command: tuple[str | int, ...]
) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.send(*command)
    tracker.receive()
    other.execute("DEL", "k")
    assert tracker.receive() == invalidated(b"k")


def test_what_writes_is_not_tracked_even_if_it_reads(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("GETSET", "k", 5)
    tracker.execute("GETEX", "k")
    tracker.execute("SORT", "list")
    other.execute("MSET", "k", 1, "list", 1)
    nothing_else(tracker)


@pytest.mark.parametrize(
    "change",
    [
        ("DEL", "k"), ("UNLINK", "k"), ("EXPIRE", "k", 100), ("RENAME", "k", "new"),
        ("RENAME", "l", "k"), ("COPY", "l", "k", "REPLACE"), ("MOVE", "k", 3), ("GETDEL", "k"),
        ("SETRANGE", "k", 0, "x"), ("SET", "k", "same"), ("BITOP", "NOT", "k", "l"),
        ("SORT", "list", "STORE", "k"), ("SUNIONSTORE", "k", "nothing"),
    ],
)  # fmt: skip
def test_changes_of_every_kind(tracker: Raw, other: Raw, change: tuple[str | int, ...]) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("GET", "k")
    other.execute(*change)
    assert tracker.receive() == invalidated(b"k")
    nothing_else(tracker)


def test_databases_are_not_told_apart(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("GET", "k")
    other.execute("SELECT", 3)
    other.execute("SET", "k", 1)
    assert tracker.receive() == invalidated(b"k")


def test_ones_own_change_is_told_after_its_reply(tracker: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("MGET", "k", "l")
    tracker.send("DEL", "k", "l")
    assert tracker.receive() == 2
    assert sorted([tracker.receive(), tracker.receive()]) == [invalidated(b"k"), invalidated(b"l")]


def test_after_the_reply_of_a_command_that_fails_too(tracker: Raw, other: Raw) -> None:
    other.execute("LPUSH", "list", 1)
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("GET", "k")
    tracker.send("EVAL", "redis.call('set', KEYS[1], 1); return redis.call('incr', 'list')", 1, "k")
    assert "WRONGTYPE" in str(tracker.receive())
    assert tracker.receive() == invalidated(b"k")


def test_after_the_reply_of_a_transaction(tracker: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("MULTI")
    tracker.execute("GET", "k")
    tracker.execute("INCR", "k")
    tracker.execute("GET", "l")
    tracker.execute("FLUSHDB")
    tracker.send("EXEC")
    assert tracker.receive() == [b"1", 2, b"2", b"OK"]
    assert tracker.receive() == invalidated(b"k")
    assert tracker.receive() == [b"invalidate", None]
    nothing_else(tracker)


def test_noloop_hides_ones_own_changes(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON", "NOLOOP")
    tracker.execute("MGET", "k", "l")
    tracker.execute("SET", "k", 1)
    tracker.execute("EVAL", "return redis.call('set', KEYS[1], 1)", 1, "l")
    other.execute("MSET", "k", 1, "l", 1)
    nothing_else(tracker)


def test_flushes_are_told_once_and_forget_all(tracker: Raw, other: Raw, server: Server) -> None:
    prefixed = server.raw(3)
    prefixed.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "nothing:", "NOLOOP")
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("GET", "k")
    other.execute("FLUSHALL")
    other.execute("SET", "k", 1)
    for raw in (tracker, prefixed):
        assert raw.receive() == [b"invalidate", None]
    other.execute("SELECT", 4)
    other.execute("FLUSHDB", "ASYNC")
    assert tracker.receive() == [b"invalidate", None]
    nothing_else(tracker)


def test_expired_keys_are_told(tracker: Raw, other: Raw, server: Server) -> None:
    prefixed = server.raw(3)
    prefixed.execute("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP")
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("GET", "k")
    prefixed.execute("PEXPIRE", "k", 1)
    # The deadline itself is a change, which NOLOOP hides from who set it.
    assert tracker.receive() == invalidated(b"k")
    tracker.execute("TTL", "k")
    while other.execute("EXISTS", "k"):
        pass
    assert prefixed.receive() == invalidated(b"k")


def test_due_keys_of_ones_own_read_come_after_the_reply(tracker: Raw, other: Raw) -> None:
    other.execute("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        tracker.execute("CLIENT", "TRACKING", "ON")
        other.execute("SET", "k", 1, "PX", 1)
        tracker.execute("GET", "other")
        tracker.execute("MULTI")
        tracker.execute("SET", "due", 1, "PX", 1)
        tracker.execute("GET", "due")
        tracker.execute("DEBUG", "SLEEP", "0.01")
        tracker.execute("MGET", "l", "due")
        tracker.send("EXEC")
        assert tracker.receive()[0] == b"OK"
        # Redis 7.0 stops the time in a transaction; either way the next read finds it gone.
        tracker.send("EXISTS", "due")
        first = tracker.receive()
        replies = [first, tracker.receive()]
        assert replies in ([0, invalidated(b"due")], [invalidated(b"due"), 0])
    finally:
        other.execute("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_broadcasts_by_prefix(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "b", "PREFIX", "a")
    other.execute("MSET", "b2", 1, "z", 1, "a1", 1, "b1", 1)
    assert tracker.receive() == invalidated(b"a1")
    assert tracker.receive() == invalidated(b"b1", b"b2")
    tracker.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "c")
    other.execute("MULTI")
    other.execute("SET", "c1", 1)
    other.execute("DEL", "a1", "c1")
    other.execute("EXEC")
    assert tracker.receive() == invalidated(b"a1")
    assert tracker.receive() == invalidated(b"c1")
    nothing_else(tracker)


def test_a_broadcast_of_ones_own_change_comes_after_the_reply(tracker: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON", "BCAST")
    tracker.send("SET", "k", 1)
    assert tracker.receive() == b"OK"
    assert tracker.receive() == invalidated(b"k")


def test_noloop_hides_ones_own_broadcasts_but_not_those_of_scripts(
    tracker: Raw, other: Raw
) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP")
    tracker.execute("SET", "own", 1)
    tracker.execute("EVAL", "return redis.call('set', KEYS[1], 1)", 1, "script's")
    assert tracker.receive() == invalidated(b"script's")
    other.execute("SET", "another's", 1)
    assert tracker.receive() == invalidated(b"another's")


def test_optin_tracks_the_command_after_caching_yes(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON", "OPTIN")
    tracker.execute("GET", "k")
    tracker.execute("CLIENT", "CACHING", "yes")
    assert tracker.execute("CLIENT", "TRACKINGINFO")[b"flags"] == [b"on", b"optin", b"caching-yes"]
    tracker.execute("GET", "l")
    tracker.execute("GET", "m")
    other.execute("MSET", "k", 1, "l", 1, "m", 1)
    assert tracker.receive() == invalidated(b"l")
    nothing_else(tracker)


def test_optout_leaves_out_the_command_after_caching_no(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON", "OPTOUT")
    tracker.execute("CLIENT", "CACHING", "NO")
    tracker.execute("GET", "k")
    tracker.execute("GET", "l")
    other.execute("MSET", "k", 1, "l", 1)
    assert tracker.receive() == invalidated(b"l")
    nothing_else(tracker)


def test_caching_yes_holds_for_a_transaction(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON", "OPTIN")
    tracker.execute("CLIENT", "CACHING", "YES")
    tracker.execute("MULTI")
    tracker.execute("GET", "k")
    tracker.execute("GET", "l")
    tracker.execute("EXEC")
    tracker.execute("GET", "m")
    other.execute("MSET", "k", 1, "l", 1, "m", 1)
    assert sorted([tracker.receive(), tracker.receive()]) == [invalidated(b"k"), invalidated(b"l")]
    nothing_else(tracker)


def test_caching_yes_is_used_up_by_what_is_refused(tracker: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON", "OPTIN")
    tracker.execute("CLIENT", "CACHING", "YES")
    refused(tracker, "GET")
    assert tracker.execute("CLIENT", "TRACKINGINFO")[b"flags"] == [b"on", b"optin"]


def test_scripts_that_read_track_what_they_declare(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("EVAL", "return redis.call('set', 'x', 1)", 1, "k")
    tracker.execute("EVAL_RO", "return redis.call('ping')", 1, "k")
    other.execute("SET", "k", 1)
    tracker.execute("EVAL_RO", "return redis.call('get', 'm')", 2, "k", "l")
    other.execute("MSET", "m", 1, "l", 1)
    other.execute("SET", "k", 1)
    assert tracker.receive() == invalidated(b"l")
    assert tracker.receive() == invalidated(b"k")
    nothing_else(tracker)


def test_functions_do_as_scripts(tracker: Raw, other: Raw) -> None:
    other.execute(
        "FUNCTION", "LOAD", "REPLACE",
        "#!lua name=readers\nredis.register_function('read', "
        "function(keys) return redis.call('get', 'm') end)",
    )  # fmt: skip
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("FCALL", "read", 1, "k")
    other.execute("SET", "k", 1)
    assert tracker.receive() == invalidated(b"k")
    other.execute("FUNCTION", "DELETE", "readers")


def test_messages_may_go_to_a_resp2_connection_that_listens(server: Server, other: Raw) -> None:
    tracker, listener = server.raw(2), server.raw(2)
    number = listener.execute("CLIENT", "ID")
    tracker.execute("CLIENT", "TRACKING", "ON", "REDIRECT", number)
    assert tracker.execute("CLIENT", "GETREDIR") == number
    tracker.execute("GET", "k")
    other.execute("SET", "k", 1)
    # Whatever it listens to.
    listener.execute("PSUBSCRIBE", "x*")
    tracker.execute("GET", "l")
    other.execute("SET", "l", 1)
    assert listener.receive() == redirected(b"l")
    tracker.execute("GET", "l")
    tracker.execute("SET", "l", 1)
    assert listener.receive() == redirected(b"l")
    other.execute("FLUSHALL")
    assert listener.receive() == [b"message", b"__redis__:invalidate", None]


def test_messages_may_go_to_a_resp3_connection(tracker: Raw, other: Raw, server: Server) -> None:
    listener = server.raw(3)
    number = listener.execute("CLIENT", "ID")
    tracker.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k", "REDIRECT", number)
    tracker.execute("SET", "k", 1)
    assert listener.receive() == invalidated(b"k")
    nothing_else(tracker)


def test_a_redirection_that_broke_is_told(tracker: Raw, other: Raw, server: Server) -> None:
    listener = server.raw(3)
    number = listener.execute("CLIENT", "ID")
    tracker.execute("CLIENT", "TRACKING", "ON", "REDIRECT", number)
    tracker.execute("GET", "k")
    other.execute("CLIENT", "KILL", "ID", number)
    other.execute("SET", "k", 1)
    assert tracker.receive() == [BROKEN, number]
    info = tracker.execute("CLIENT", "TRACKINGINFO")
    assert info == {b"flags": [b"on", b"broken_redirect"], b"redirect": number, b"prefixes": []}
    assert b" flags=tR db=0 " in tracker.execute("CLIENT", "INFO")


def test_a_muted_connection_still_gets_pushes(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("GET", "k")
    tracker.send("CLIENT", "REPLY", "OFF")
    tracker.send("SET", "k", 1)
    assert tracker.receive() == invalidated(b"k")
    tracker.send("CLIENT", "REPLY", "ON")
    assert tracker.receive() == b"OK"


def test_who_was_blocked_is_told_after_its_reply(tracker: Raw, other: Raw, server: Server) -> None:
    other.execute("DEL", "k", "l")
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("LRANGE", "l", 0, -1)
    tracker.send("BLMOVE", "k", "l", "LEFT", "LEFT", 0)
    while not server.execute("INFO", "clients").count(b"blocked_clients:1"):
        pass
    other.execute("RPUSH", "k", "element")
    assert tracker.receive() == b"element"
    assert tracker.receive() == invalidated(b"l")


def test_nothing_is_told_after_off_reset_or_a_change_of_mode(
    tracker: Raw, other: Raw, server: Server
) -> None:
    keeps_it_on = server.raw(3)
    keeps_it_on.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("GET", "k")
    tracker.execute("CLIENT", "TRACKING", "OFF")
    tracker.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "x")
    other.execute("SET", "k", 1)
    tracker.execute("RESET")
    tracker.execute("HELLO", 3)
    other.execute("SET", "x", 1)
    nothing_else(tracker)
    assert tracker.execute("CLIENT", "TRACKINGINFO")[b"flags"] == [b"off"]


def test_the_table_of_keys_is_bounded(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("MGET", *(f"key{number}" for number in range(250)))
    other.execute("CONFIG", "SET", "tracking-table-max-keys", 1)
    for _ in range(3):
        # The engine has no timer where no front has one; each command takes another step.
        other.execute("PING")
    told = {tracker.receive()[1][0] for _ in range(249)}
    assert len(told) == 249
    other.execute("CONFIG", "SET", "tracking-table-max-keys", 1000000)
    nothing_else(tracker)


def test_a_limit_of_none(tracker: Raw, other: Raw) -> None:
    other.execute("CONFIG", "SET", "tracking-table-max-keys", 0)
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("MGET", "k", "l")
    tracker.execute("PING")
    other.execute("CONFIG", "SET", "tracking-table-max-keys", 1000000)
    nothing_else(tracker)


def test_info_counts(tracker: Raw, other: Raw, server: Server) -> None:
    second = server.raw(3)
    for raw in (tracker, second):
        raw.execute("CLIENT", "TRACKING", "ON")
        raw.execute("MGET", "k", "l")
    prefixed = server.raw(3)
    prefixed.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "b")
    info = other.execute("INFO", "everything")
    for line in (
        b"tracking_clients:3", b"tracking_total_keys:2", b"tracking_total_items:4",
        b"tracking_total_prefixes:2",
    ):  # fmt: skip
        assert b"\r\n%b\r\n" % line in info
    assert b" flags=tB " in prefixed.execute("CLIENT", "INFO")
    assert b" redir=0 " in prefixed.execute("CLIENT", "INFO")
    assert b" redir=-1 " in other.execute("CLIENT", "INFO")


def test_trackinginfo(tracker: Raw) -> None:
    off = {b"flags": [b"off"], b"redirect": -1, b"prefixes": []}
    assert tracker.execute("CLIENT", "TRACKINGINFO") == off
    tracker.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "b", "PREFIX", "a", "NOLOOP")
    assert tracker.execute("CLIENT", "TRACKINGINFO") == {
        b"flags": [b"on", b"bcast", b"noloop"],
        b"redirect": 0,
        b"prefixes": [b"a", b"b"],
    }
    # Named twice, the second time without a prefix: that is the empty one, and overlaps with none.
    tracker.execute("CLIENT", "TRACKING", "ON", "BCAST")
    assert tracker.execute("CLIENT", "TRACKINGINFO")[b"prefixes"] == [b"", b"a", b"b"]
    tracker.execute("CLIENT", "TRACKING", "OFF")
    assert tracker.execute("CLIENT", "TRACKINGINFO") == off
    assert tracker.execute("CLIENT", "GETREDIR") == -1


def test_what_does_not_go_together(tracker: Raw) -> None:
    on = ("CLIENT", "TRACKING", "ON")
    overlap = "Prefixes for a single client must not overlap."
    number = tracker.execute("CLIENT", "ID")
    assert refused(tracker, *on, "PREFIX", "x") == (
        "ERR PREFIX option requires BCAST mode to be enabled"
    )
    assert refused(tracker, *on, "BCAST", "OPTIN") == (
        "ERR OPTIN and OPTOUT are not compatible with BCAST"
    )
    assert refused(tracker, *on, "OPTIN", "OPTOUT") == (
        "ERR You can't specify both OPTIN mode and OPTOUT mode"
    )
    assert refused(tracker, *on, "REDIRECT", 999999) == (
        "ERR The client ID you want redirect to does not exist"
    )
    assert refused(tracker, *on, "REDIRECT", number, "REDIRECT", "x") == (
        "ERR A client can only redirect to a single other client"
    )
    assert refused(tracker, *on, "BCAST", "PREFIX", "FOOBAR", "PREFIX", "FOO") == (
        f"ERR Prefix 'FOOBAR' overlaps with another provided prefix 'FOO'. {overlap}"
    )
    assert refused(tracker, *on, "REDIRECT", "x") == ("ERR value is not an integer or out of range")
    for args in (
        (*on, "REDIRECT"), (*on, "PREFIX"), (*on, "FOO"), ("CLIENT", "TRACKING", "maybe"),
        ("CLIENT", "TRACKING", "OFF", "FOO"),
    ):  # fmt: skip
        assert refused(tracker, *args) == "ERR syntax error"
    tracker.execute(*on, "BCAST", "PREFIX", "BAR")
    assert refused(tracker, *on, "BCAST", "PREFIX", "BARB") == (
        f"ERR Prefix 'BARB' overlaps with an existing prefix 'BAR'. {overlap}"
    )
    # Not even the very same one may be named again.
    assert "an existing prefix 'BAR'" in refused(tracker, *on, "BCAST", "PREFIX", "BAR")


def test_modes_do_not_change_while_it_is_on(tracker: Raw) -> None:
    on = ("CLIENT", "TRACKING", "ON")
    rest = (
        " before disabling tracking for this client, and then re-enabling it with a different mode."
    )
    tracker.execute(*on, "OPTIN")
    assert refused(tracker, *on, "OPTOUT") == f"ERR You can't switch OPTIN/OPTOUT mode{rest}"
    assert refused(tracker, *on, "BCAST") == f"ERR You can't switch BCAST mode on/off{rest}"
    tracker.execute(*on)
    tracker.execute(*on, "OPTOUT", "NOLOOP")
    assert tracker.execute("CLIENT", "TRACKINGINFO")[b"flags"] == [b"on", b"optout", b"noloop"]


def test_caching_where_it_makes_no_sense(tracker: Raw) -> None:
    caching = ("CLIENT", "CACHING")
    assert refused(tracker, *caching, "YES") == (
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
        "OPTOUT mode enabled"
    )
    tracker.execute("CLIENT", "TRACKING", "ON")
    assert refused(tracker, *caching, "YES") == (
        "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
    )
    assert refused(tracker, *caching, "NO") == (
        "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
    )
    assert refused(tracker, *caching, "MAYBE") == "ERR syntax error"


def test_a_failed_transaction_and_a_queue_tell_nothing(tracker: Raw, other: Raw) -> None:
    tracker.execute("CLIENT", "TRACKING", "ON")
    tracker.execute("GET", "k")
    other.execute("MULTI")
    other.execute("SET", "k", 1)
    other.execute("DISCARD")
    nothing_else(tracker)
    other.execute("SET", "k", 1)
    assert tracker.receive() == invalidated(b"k")
