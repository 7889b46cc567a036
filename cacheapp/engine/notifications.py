"""Keyspace notifications: which class an event belongs to, and the two channels it goes out on.

Redis passes the class at each call; here the event's name decides, since no name belongs to two
classes. `Database.changed` is the only caller besides expiry and eviction.
"""

from __future__ import annotations

from collections.abc import Callable

_CLASSES = {
    "g": "del rename_from rename_to move_from move_to copy_to restore expire persist",
    "$": "set setrange incrby incrbyfloat append setbit getset pfadd",
    "l": "lpush rpush lpop rpop linsert lset lrem ltrim lmove sortstore",
    "s": "sadd srem spop sinterstore sunionstore sdiffstore",
    "h": "hset hdel hincrby hincrbyfloat hexpire hpersist hexpired",
    "z": "zadd zincr zrem zremrangebyscore zremrangebyrank zremrangebylex zpopmin zpopmax "
    "zunionstore zinterstore zdiffstore zrangestore geosearchstore georadiusstore",
    "t": "xadd xdel xtrim xsetid xgroup-create xgroup-createconsumer xgroup-delconsumer "
    "xgroup-destroy xgroup-setid",
    "x": "expired",
    "e": "evicted",
    "m": "keymiss",
    "n": "new",
}

EVENT_CLASS: dict[bytes, str] = {
    event.encode(): letter for letter, events in _CLASSES.items() for event in events.split()
}


def notify(
    publish: Callable[[bytes, bytes], int],
    flags: frozenset[str],
    event: bytes,
    key: bytes,
    db_index: int,
) -> None:
    """Publish `event` on `key` where `flags` (of notify-keyspace-events) ask for its class."""
    if EVENT_CLASS[event] not in flags:
        return
    if "K" in flags:
        publish(b"__keyspace@%d__:%s" % (db_index, key), event)
    if "E" in flags:
        publish(b"__keyevent@%d__:%s" % (db_index, event), key)
