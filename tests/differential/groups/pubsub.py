"""Pub/sub on three connections: what each receives after each command is compared."""

from __future__ import annotations

from tests.differential.grammar import TEXT, Group, many, maybe, seq, word

CHANNEL = word("news", "chat", "n", "", "__keyspace@0__:s0")
PATTERN = word("n*", "*", "c?at", "[nc]*", "", "__key*__:*")

COMMANDS = [
    seq("SUBSCRIBE", many(CHANNEL, high=3)),
    seq("SUBSCRIBE", many(CHANNEL, high=3)),
    seq("PSUBSCRIBE", many(PATTERN, high=3)),
    seq("UNSUBSCRIBE", many(CHANNEL, low=1, high=2)),
    seq("PUNSUBSCRIBE", many(PATTERN, low=1, high=2)),
    seq("PUBLISH", CHANNEL, TEXT),
    seq("PUBLISH", CHANNEL, TEXT),
    seq("PUBLISH", CHANNEL, TEXT),
    seq("PUBSUB NUMSUB", many(CHANNEL, low=0)),
    seq("SSUBSCRIBE", many(CHANNEL, high=3)),
    seq("SUNSUBSCRIBE", many(CHANNEL, low=1, high=2)),
    seq("SPUBLISH", CHANNEL, TEXT),
    seq("PUBSUB SHARDNUMSUB", many(CHANNEL, low=0)),
    seq("PUBSUB SHARDCHANNELS", maybe(word("zzz", "chat"))),
    seq("PUBSUB NUMPAT"),
    seq("PUBSUB", word("NOPE", "numpat")),
    seq("PUBSUB CHANNELS", maybe(word("zzz", "chat"))),
    seq("PING"),
    seq("PING", TEXT),
    seq("SET", word("s0", "s1"), TEXT),
    seq("CONFIG SET notify-keyspace-events", word("KEA", "", "K$", "Eg", "KEm", "KEn", "z")),
    seq("GET", word("s0", "s2")),
    seq("DEL", word("s0", "s1")),
    seq("ECHO", TEXT),
    seq("SELECT 0"),
]

GROUP = Group("pubsub", COMMANDS, connections=3, pushes=True)
