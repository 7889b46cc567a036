"""SUBSCRIBE, PSUBSCRIBE, UNSUBSCRIBE, PUNSUBSCRIBE, PUBLISH and PUBSUB."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import Raw, ReplyError


def refused(raw: Raw, *args: str | int | bytes) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


@pytest.fixture(params=[2, 3])
def raw(request: pytest.FixtureRequest, server: Server) -> Raw:
    """A connection of each protocol."""
    return server.raw(request.param)


def test_each_channel_is_confirmed_with_the_count(raw: Raw) -> None:
    assert raw.execute("SUBSCRIBE", "a", "b", "a") == [b"subscribe", b"a", 1]
    assert raw.receive() == [b"subscribe", b"b", 2]
    assert raw.receive() == [b"subscribe", b"a", 2]
    assert raw.execute("PSUBSCRIBE", "p*") == [b"psubscribe", b"p*", 3]
    assert raw.execute("UNSUBSCRIBE", "a", "never") == [b"unsubscribe", b"a", 2]
    assert raw.receive() == [b"unsubscribe", b"never", 2]
    assert raw.execute("PUNSUBSCRIBE", "p*") == [b"punsubscribe", b"p*", 1]


def test_unsubscribing_from_everything(raw: Raw) -> None:
    raw.execute("SUBSCRIBE", "a")
    raw.execute("PSUBSCRIBE", "p")
    assert raw.execute("UNSUBSCRIBE") == [b"unsubscribe", b"a", 1]
    assert raw.execute("UNSUBSCRIBE") == [b"unsubscribe", None, 1]
    assert raw.execute("PUNSUBSCRIBE") == [b"punsubscribe", b"p", 0]
    assert raw.execute("PUNSUBSCRIBE") == [b"punsubscribe", None, 0]
    assert raw.execute("PING") == b"PONG"


def test_messages_by_channel_and_by_pattern(raw: Raw, server: Server) -> None:
    raw.execute("SUBSCRIBE", "news.tech")
    raw.execute("PSUBSCRIBE", "news.*")
    raw.execute("PSUBSCRIBE", "n?ws.t[e]ch")
    sender = server.raw()
    assert sender.execute("PUBLISH", "news.tech", "m\x00\r\n") == 3
    assert raw.receive() == [b"message", b"news.tech", b"m\x00\r\n"]
    received = sorted([raw.receive(), raw.receive()])
    assert received == [
        [b"pmessage", b"n?ws.t[e]ch", b"news.tech", b"m\x00\r\n"],
        [b"pmessage", b"news.*", b"news.tech", b"m\x00\r\n"],
    ]
    assert sender.execute("PUBLISH", "other", "m") == 0


def test_messages_keep_their_order_among_subscribers(server: Server) -> None:
    listeners = [server.raw(), server.raw(3)]
    for listener in listeners:
        listener.execute("SUBSCRIBE", "c")
    sender = server.raw()
    for number in range(20):
        assert sender.execute("PUBLISH", "c", number) == 2
    for listener in listeners:
        assert [listener.receive()[2] for _ in range(20)] == [b"%d" % n for n in range(20)]


def test_channels_are_not_bound_to_databases(raw: Raw, server: Server) -> None:
    raw.execute("SUBSCRIBE", "c")
    sender = server.raw()
    sender.execute("SELECT", 5)
    assert sender.execute("PUBLISH", "c", "m") == 1


def test_a_closed_connection_is_no_subscriber(server: Server) -> None:
    listener = server.raw()
    listener.execute("SUBSCRIBE", "c")
    listener.execute("PSUBSCRIBE", "c*")
    listener.execute("UNSUBSCRIBE")
    listener.execute("PUNSUBSCRIBE")
    assert server.raw().execute("PUBLISH", "c", "m") == 0


def test_a_subscriber_of_resp2_may_say_little(server: Server) -> None:
    raw = server.raw(2)
    raw.execute("SUBSCRIBE", "c")
    assert refused(raw, "GET", "k") == (
        "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        "are allowed in this context"
    )
    assert refused(raw, "MULTI").startswith("ERR Can't execute 'multi'")
    assert refused(raw, "NOPE").startswith("ERR unknown command 'NOPE'")
    assert refused(raw, "GET").startswith("ERR wrong number of arguments")
    assert raw.execute("PING") == [b"pong", b""]
    assert raw.execute("PING", "x") == [b"pong", b"x"]
    assert raw.execute("RESET") == b"RESET"
    assert raw.execute("PING") == b"PONG"
    assert server.raw().execute("PUBLISH", "c", "m") == 0


def test_a_subscriber_of_resp3_may_say_anything(server: Server) -> None:
    raw = server.raw(3)
    raw.execute("SUBSCRIBE", "c")
    assert raw.execute("SET", "k", "v") == b"OK"
    assert raw.execute("PING") == b"PONG"
    assert raw.execute("PUBLISH", "c", "to myself") == 1
    assert raw.receive() == [b"message", b"c", b"to myself"]


def test_pubsub_counts(raw: Raw, server: Server) -> None:
    first, second = server.raw(), server.raw()
    first.execute("SUBSCRIBE", "a")
    first.execute("SUBSCRIBE", "ab")
    second.execute("SUBSCRIBE", "a")
    second.execute("PSUBSCRIBE", "a*")
    first.execute("PSUBSCRIBE", "a*")
    first.execute("PSUBSCRIBE", "b*")
    assert sorted(raw.execute("PUBSUB", "CHANNELS")) == [b"a", b"ab"]
    assert raw.execute("PUBSUB", "channels", "?b") == [b"ab"]
    assert raw.execute("PUBSUB", "CHANNELS", "z*") == []
    assert raw.execute("PUBSUB", "NUMSUB") == []
    assert raw.execute("PUBSUB", "NUMSUB", "a", "no", "ab") == [b"a", 2, b"no", 0, b"ab", 1]
    assert raw.execute("PUBSUB", "NUMPAT") == 2


def test_pubsub_errors(raw: Raw) -> None:
    assert refused(raw, "PUBSUB") == "ERR wrong number of arguments for 'pubsub' command"
    assert refused(raw, "PUBSUB", "nope") == "ERR unknown subcommand 'nope'. Try PUBSUB HELP."
    assert refused(raw, "PUBSUB", "NUMPAT", "x") == (
        "ERR wrong number of arguments for 'pubsub|numpat' command"
    )
    assert refused(raw, "PUBSUB", "CHANNELS", "a", "b") == (
        "ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP."
    )
    assert refused(raw, "PUBLISH", "a") == "ERR wrong number of arguments for 'publish' command"
    assert refused(raw, "SUBSCRIBE") == "ERR wrong number of arguments for 'subscribe' command"
    assert raw.execute("PUBSUB", "HELP")[0].startswith(b"PUBSUB <subcommand>")


def test_a_script_publishes_but_does_not_subscribe(raw: Raw, server: Server) -> None:
    listener = server.raw()
    listener.execute("SUBSCRIBE", "c")
    assert raw.execute("EVAL", "return redis.call('PUBLISH', 'c', ARGV[1])", 0, "m") == 1
    assert listener.receive() == [b"message", b"c", b"m"]
    assert "This Redis command is not allowed from script" in refused(
        raw, "EVAL", "return redis.call('SUBSCRIBE', 'c')", 0
    )


def test_keyspace_events_arrive_in_order(raw: Raw, server: Server) -> None:
    writer = server.raw()
    writer.execute("CONFIG", "SET", "notify-keyspace-events", "KEA")
    raw.execute("PSUBSCRIBE", "__key*__:*")
    writer.execute("SET", "k", "v")
    writer.execute("DEL", "k")
    received = [raw.receive() for _ in range(4)]
    assert [message[2:] for message in received] == [
        [b"__keyspace@0__:k", b"set"],
        [b"__keyevent@0__:set", b"k"],
        [b"__keyspace@0__:k", b"del"],
        [b"__keyevent@0__:del", b"k"],
    ]


def test_shard_channels_are_apart_from_channels(raw: Raw, server: Server) -> None:
    assert raw.execute("SSUBSCRIBE", "a", "b") == [b"ssubscribe", b"a", 1]
    assert raw.receive() == [b"ssubscribe", b"b", 2]
    assert raw.execute("SUBSCRIBE", "a") == [b"subscribe", b"a", 1]
    sender = server.raw()
    assert sender.execute("SPUBLISH", "a", "sharded") == 1
    assert raw.receive() == [b"smessage", b"a", b"sharded"]
    assert sender.execute("PUBLISH", "a", "plain") == 1
    assert raw.receive() == [b"message", b"a", b"plain"]
    assert sender.execute("SPUBLISH", "none", "m") == 0
    assert sorted(sender.execute("PUBSUB", "SHARDCHANNELS")) == [b"a", b"b"]
    assert sender.execute("PUBSUB", "SHARDCHANNELS", "b*") == [b"b"]
    assert sender.execute("PUBSUB", "SHARDNUMSUB", "a", "x") == [b"a", 1, b"x", 0]
    assert b"sub=1 psub=0 ssub=2" in sender.execute("CLIENT", "LIST", "TYPE", "pubsub")
    assert raw.execute("SUNSUBSCRIBE", "a", "never") == [b"sunsubscribe", b"a", 1]
    assert raw.receive() == [b"sunsubscribe", b"never", 1]
    assert raw.execute("SUNSUBSCRIBE") == [b"sunsubscribe", b"b", 0]
    assert raw.execute("SUNSUBSCRIBE") == [b"sunsubscribe", None, 0]
    assert sender.execute("PUBSUB", "SHARDCHANNELS") == []


def test_a_shard_subscriber_may_do_little_else(server: Server) -> None:
    raw = server.raw()
    raw.execute("SSUBSCRIBE", "a")
    assert refused(raw, "GET", "k").startswith("ERR Can't execute 'get': only (P|S)SUBSCRIBE")
    assert raw.execute("PING") == [b"pong", b""]


def test_a_shard_subscription_may_not_be_queued(server: Server) -> None:
    raw = server.raw()
    raw.execute("MULTI")
    raw.execute("SSUBSCRIBE", "a")
    (error,) = raw.execute("EXEC")
    assert str(error) == "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"
