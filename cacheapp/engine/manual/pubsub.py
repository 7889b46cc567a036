"""The manual's pages of the group `pubsub`."""

from __future__ import annotations

from cacheapp.engine.manual.words import Page, block, optional, page, pattern, repeated, string

PAGES: dict[str, Page] = {
    "PSUBSCRIBE": page(repeated(block("pattern", pattern("pattern")))),
    "PUBLISH": page(string("channel"), string("message")),
    "PUBSUB|CHANNELS": page(optional(pattern("pattern"))),
    "PUBSUB|NUMSUB": page(optional(repeated(string("channel")))),
    "PUBSUB|SHARDCHANNELS": page(optional(pattern("pattern"))),
    "PUBSUB|SHARDNUMSUB": page(optional(repeated(string("shardchannel")))),
    "PUNSUBSCRIBE": page(optional(repeated(pattern("pattern")))),
    "SPUBLISH": page(string("shardchannel"), string("message")),
    "SSUBSCRIBE": page(repeated(string("shardchannel"))),
    "SUBSCRIBE": page(repeated(string("channel"))),
    "SUNSUBSCRIBE": page(optional(repeated(string("shardchannel")))),
    "UNSUBSCRIBE": page(optional(repeated(string("channel")))),
}
