"""Publish and subscribe.

A subscription is confirmed, channel by channel, in the way in which messages arrive: through
`Session.deliver`. The commands therefore answer NO_REPLY. The exception is EXEC, whose array
needs an element for each command: there the first confirmation is that element.

Shard channels (SSUBSCRIBE, SPUBLISH) are a world of their own beside the channels: without Cluster
there is one shard, and all that differs is that no pattern reaches them and that their
confirmations count only themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cacheapp.engine.arguments import glob_matcher
from cacheapp.engine.errors import CommandError, wrong_subcommand_arity
from cacheapp.engine.pubsub import Subscribers
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import NO_REPLY, Push, Reply, help_reply
from cacheapp.engine.session import Session

_HELP = """
CHANNELS [<pattern>]
    Return the currently active channels matching a <pattern> (default: '*').
NUMPAT
    Return number of subscriptions to patterns.
NUMSUB [<channel> ...]
    Return the number of subscribers for the specified channels, excluding
    pattern subscriptions(default: no channels).
SHARDCHANNELS [<pattern>]
    Return the currently active shard level channels matching a <pattern> (default: '*').
SHARDNUMSUB [<shardchannel> ...]
    Return the number of subscribers for the specified shard level channel(s)
"""


@command(
    "SUBSCRIBE", arity=-2, flags="pubsub noscript loading stale", group="pubsub", since="2.0.0",
    complexity="O(N) where N is the number of channels to subscribe to.",
    summary="Listens for messages published to channels.",
)  # fmt: skip
def subscribe(ctx: Session, *channels: bytes) -> Reply:
    return _each(ctx, b"subscribe", channels, ctx.engine.pubsub.subscribe)


@command(
    "PSUBSCRIBE", arity=-2, flags="pubsub noscript loading stale", group="pubsub", since="2.0.0",
    complexity="O(N) where N is the number of patterns to subscribe to.",
    summary="Listens for messages published to channels that match one or more patterns.",
)  # fmt: skip
def psubscribe(ctx: Session, *patterns: bytes) -> Reply:
    return _each(ctx, b"psubscribe", patterns, ctx.engine.pubsub.psubscribe)


@command(
    "UNSUBSCRIBE", arity=-1, flags="pubsub noscript loading stale", group="pubsub", since="2.0.0",
    complexity="O(N) where N is the number of channels to unsubscribe.",
    summary="Stops listening to messages posted to channels.",
)  # fmt: skip
def unsubscribe(ctx: Session, *channels: bytes) -> Reply:
    return _each(ctx, b"unsubscribe", channels or list(ctx.channels), ctx.engine.pubsub.unsubscribe)


@command(
    "PUNSUBSCRIBE", arity=-1, flags="pubsub noscript loading stale", group="pubsub", since="2.0.0",
    complexity="O(N) where N is the number of patterns to unsubscribe.",
    summary="Stops listening to messages published to channels that match one or more patterns.",
)  # fmt: skip
def punsubscribe(ctx: Session, *patterns: bytes) -> Reply:
    return _each(
        ctx, b"punsubscribe", patterns or list(ctx.patterns), ctx.engine.pubsub.punsubscribe
    )


@command(
    "SSUBSCRIBE", arity=-2, flags="pubsub noscript loading stale", keys=(1, -1, 1),
    key_flags="not_key", group="pubsub", since="7.0.0",
    complexity="O(N) where N is the number of shard channels to subscribe to.",
    summary="Listens for messages published to shard channels.",
)  # fmt: skip
def ssubscribe(ctx: Session, *channels: bytes) -> Reply:
    if ctx.queue is not None:
        raise CommandError("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
    return _each(ctx, b"ssubscribe", channels, ctx.engine.pubsub.ssubscribe)


@command(
    "SUNSUBSCRIBE", arity=-1, flags="pubsub noscript loading stale", keys=(1, -1, 1),
    key_flags="not_key", group="pubsub", since="7.0.0",
    complexity="O(N) where N is the number of clients already subscribed to a shard channel.",
    summary="Stops listening to messages posted to shard channels.",
)  # fmt: skip
def sunsubscribe(ctx: Session, *channels: bytes) -> Reply:
    return _each(
        ctx,
        b"sunsubscribe",
        channels or list(ctx.shard_channels),
        ctx.engine.pubsub.sunsubscribe,
    )


def _each(
    ctx: Session, kind: bytes, names: Sequence[bytes], change: Callable[[Session, bytes], None]
) -> Reply:
    """Make `change` for each of `names` and confirm each as `kind`; no names, one confirmation."""
    sharded = kind in (b"ssubscribe", b"sunsubscribe")
    first: Push | None = None
    for name in names or (None,):
        if name is not None:
            change(ctx, name)
        count = len(ctx.shard_channels) if sharded else ctx.subscriptions
        confirmation = Push([kind, name, count])
        if ctx.queue is not None and first is None:
            first = confirmation
        else:
            ctx.deliver(confirmation)
    ctx.refresh()
    return NO_REPLY if first is None else list(first)


@command(
    "PUBLISH", arity=3, flags="pubsub loading stale fast", group="pubsub", since="2.0.0",
    complexity="O(N+M) where N is the number of subscribers and M the number of patterns.",
    summary="Posts a message to a channel.",
)  # fmt: skip
def publish(ctx: Session, channel: bytes, message: bytes) -> Reply:
    return ctx.engine.pubsub.publish(channel, message)


@command(
    "SPUBLISH", arity=3, flags="pubsub loading stale fast", keys=(1, 1, 1), key_flags="not_key",
    group="pubsub", since="7.0.0",
    complexity="O(N) where N is the number of clients subscribed to the receiving shard channel.",
    summary="Posts a message to a shard channel.",
)  # fmt: skip
def spublish(ctx: Session, channel: bytes, message: bytes) -> Reply:
    return ctx.engine.pubsub.spublish(channel, message)


container("PUBSUB", group="pubsub", since="2.8.0", summary="A container for Pub/Sub commands.")


@command(
    "PUBSUB|CHANNELS", arity=-2, flags="pubsub loading stale", group="pubsub", since="2.8.0",
    complexity="O(N) where N is the number of active channels.",
    summary="Returns the active channels.",
)  # fmt: skip
def pubsub_channels(ctx: Session, *pattern: bytes) -> Reply:
    return _active(b"CHANNELS", ctx.engine.pubsub.channels, pattern)


@command(
    "PUBSUB|SHARDCHANNELS", arity=-2, flags="pubsub loading stale", group="pubsub", since="7.0.0",
    complexity="O(N) where N is the number of active shard channels.",
    summary="Returns the active shard channels.",
)  # fmt: skip
def pubsub_shardchannels(ctx: Session, *pattern: bytes) -> Reply:
    return _active(b"SHARDCHANNELS", ctx.engine.pubsub.shard_channels, pattern)


def _active(subcommand: bytes, channels: Subscribers, pattern: Sequence[bytes]) -> Reply:
    if len(pattern) > 1:
        raise wrong_subcommand_arity("PUBSUB", subcommand)
    if not pattern:
        return list(channels)
    matches = glob_matcher(pattern[0])
    return [channel for channel in channels if matches(channel)]


@command(
    "PUBSUB|NUMSUB", arity=-2, flags="pubsub loading stale", group="pubsub", since="2.8.0",
    complexity="O(N) where N is the number of requested channels.",
    summary="Returns a count of subscribers to channels.",
)  # fmt: skip
def pubsub_numsub(ctx: Session, *channels: bytes) -> Reply:
    return _counts(ctx.engine.pubsub.channels, channels)


@command(
    "PUBSUB|SHARDNUMSUB", arity=-2, flags="pubsub loading stale", group="pubsub", since="7.0.0",
    complexity="O(N) where N is the number of requested shard channels.",
    summary="Returns the count of subscribers of shard channels.",
)  # fmt: skip
def pubsub_shardnumsub(ctx: Session, *channels: bytes) -> Reply:
    return _counts(ctx.engine.pubsub.shard_channels, channels)


def _counts(subscribers: Subscribers, channels: Sequence[bytes]) -> Reply:
    counts: list[Reply] = []
    for channel in channels:
        counts += (channel, len(subscribers.get(channel, ())))
    return counts


@command(
    "PUBSUB|NUMPAT", arity=2, flags="pubsub loading stale", group="pubsub", since="2.8.0",
    summary="Returns a count of unique pattern subscriptions.",
)  # fmt: skip
def pubsub_numpat(ctx: Session) -> Reply:
    return len(ctx.engine.pubsub.patterns)


@command(
    "PUBSUB|HELP", arity=2, flags="loading stale", group="pubsub", since="6.2.0",
    categories="-pubsub", summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def pubsub_help(_ctx: Session) -> Reply:
    return help_reply("PUBSUB", _HELP)
