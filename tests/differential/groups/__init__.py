"""The grammars, a file a group of commands."""

from __future__ import annotations

from tests.differential.grammar import Group
from tests.differential.groups import (
    acl,
    bitmaps,
    cluster,
    dumps,
    functions,
    geo,
    hashes,
    hyperloglogs,
    keys,
    keyspecs,
    lists,
    mixed,
    pubsub,
    scripting,
    server,
    sets,
    sortedsets,
    streams,
    strings,
    tracking,
    transactions,
)

GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        strings.GROUP,
        bitmaps.GROUP,
        hyperloglogs.GROUP,
        geo.GROUP,
        lists.GROUP,
        hashes.GROUP,
        sets.GROUP,
        sortedsets.GROUP,
        streams.GROUP,
        keys.GROUP,
        transactions.GROUP,
        acl.GROUP,
        pubsub.GROUP,
        scripting.GROUP,
        functions.GROUP,
        server.GROUP,
        cluster.GROUP,
        dumps.GROUP,
        keyspecs.GROUP,
        tracking.GROUP,
        mixed.GROUP,
    )
}
