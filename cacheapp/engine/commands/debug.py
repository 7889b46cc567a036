"""DEBUG, for tests against the engine; refused unless `enable-debug-command` allows it.

Not a container in Redis's sense: one command with its own error text, hence a table of its own.
DIGEST is Redis's algorithm, so two servers that hold the same data answer the same. RELOAD goes by
the dump, or by its bytes in memory where nothing is kept on disk. Switches of
what does not exist here (reply buffers, an AOF) are taken and change nothing. What crashes,
restarts or leaks on purpose is left out, and so are figures of C structures.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cacheapp.engine import values
from cacheapp.engine.arguments import glob_matcher, parse_int
from cacheapp.engine.config import parse_memory
from cacheapp.engine.database import Database
from cacheapp.engine.digest import dataset_digest, value_digest
from cacheapp.engine.errors import (
    DEBUG_NOT_ALLOWED,
    NEGATIVE_COUNT,
    NO_SUCH_KEY,
    CommandError,
    ConfigError,
    text,
    wrong_subcommand_arity,
)
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.objects import save_value
from cacheapp.engine.registry import command
from cacheapp.engine.replies import (
    OK,
    Attributed,
    BigNumber,
    Push,
    Reply,
    SetReply,
    Status,
    Verbatim,
    help_reply,
)
from cacheapp.engine.session import Session

_HELP = """
AOF-FLUSH-SLEEP <microsec>
    Taken, and without effect: there is no AOF.
CHANGE-REPL-ID
    Change the replication IDs of the instance.
CLIENT-EVICTION
    Show how much memory the clients take (maxmemory-clients).
CONFIG-REWRITE-FORCE-ALL
    Like CONFIG REWRITE.
DIGEST
    Output a hex signature representing the current DB content.
DIGEST-VALUE <key> [<key> ...]
    Output a hex signature of the values of all the specified keys.
ERROR <string>
    Return a Redis protocol error with <string> as message.
HTSTATS <dbid>
    Return the number of keys of the specified database.
HTSTATS-KEY <key>
    Like HTSTATS but for the elements of the value stored at <key>.
LISTPACK <key>
    Show low level info about the listpack encoding of <key>.
LOADAOF
    Load the log of changes again; keep the data as they are where there is none.
LOG <message>
    Taken, and without effect: the server has no log.
OBJECT <key>
    Show low level info about `key` and associated value.
PAUSE-CRON <0|1>
    Stop periodic cron job processing.
POPULATE <count> [<prefix>] [<size>]
    Create <count> string keys named key:<num>.
PROTOCOL <type>
    Reply with a test value of the specified type. <type> can be: string,
    integer, double, bignum, null, array, set, map, attrib, push, verbatim,
    true, false.
QUICKLIST <key> [<0|1>]
    Show low level info about the quicklist encoding of <key>.
QUICKLIST-PACKED-THRESHOLD <size>
    Sets the threshold for elements to be inserted as plain vs packed nodes.
RELOAD [option ...]
    Write everything as RDB keeps it, and load that back. Valid <option> values:
    * MERGE: keys and libraries of the same name are replaced.
    * NOFLUSH: what is there is not removed before loading.
    * NOSAVE: what was written last is loaded.
REPLICATE <string>
    Taken, and without effect: there are no replicas.
REPLYBUFFER PEAK-RESET-TIME <NEVER||RESET|time>
    Taken, and without effect.
REPLYBUFFER RESIZING <0|1>
    Taken, and without effect.
SDSLEN <key>
    Show the lengths of `key` and of its value.
SET-ACTIVE-EXPIRE <0|1>
    Setting it to 0 disables expiring keys in background when they are not
    accessed (otherwise the Redis behavior).
SET-DISABLE-DENY-SCRIPTS <0|1>
    Taken, and without effect.
SET-SKIP-CHECKSUM-VALIDATION <0|1>
    Enables or disables checksum checks for RESTORE's payload.
SLEEP <seconds>
    Stop the server for <seconds>. Decimals allowed.
STRINGMATCH-LEN <length> <pattern>
    Match <pattern> against a string of <length> times the letter a.
"""
_STRINGMATCH_LENGTH_MAX = 1_000_000
# Where DEBUG OBJECT says that values begin.
_ADDRESS = 0x7F0000000000
_QUICKLIST_THRESHOLD_MAX = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class _Child:
    """A subcommand: its function and how many arguments it takes."""

    handler: Callable[..., Reply]
    low: int
    high: int


@command(
    "DEBUG", arity=-2, flags="admin noscript loading stale", group="server",
    summary="A container for debugging commands.", shaped=True,
)  # fmt: skip
def debug(ctx: Session, name: bytes, *arguments: bytes) -> Reply:
    if not ctx.may(ctx.engine.config["enable-debug-command"]):
        raise CommandError(DEBUG_NOT_ALLOWED)
    child = _CHILDREN.get(name.upper())
    if child is None or not child.low <= len(arguments) <= child.high:
        raise CommandError(
            f"ERR unknown subcommand or wrong number of arguments for '{text(name)}'. "
            "Try DEBUG HELP."
        )
    return child.handler(ctx, *arguments)


def _help(_ctx: Session) -> Reply:
    return help_reply("DEBUG", _HELP)


def _sleep(ctx: Session, raw: bytes) -> Reply:
    try:
        seconds = float(raw)
    except ValueError:
        seconds = 0.0
    if seconds > 0:
        ctx.engine.clock.sleep(seconds)
    return OK


def _object(ctx: Session, key: bytes) -> Reply:
    """The line about one value. Its address is the place of the key: an int that INCR makes is a
    new object here, but the same one in Redis. A key that is due is shown, not reclaimed."""
    db = ctx.db
    slot = db.slots.get(key)
    if slot is None:
        raise CommandError(NO_SUCH_KEY)
    value = db.values[slot]
    encoding = values.encoding(value, ctx.engine.config)
    access = 0 if ctx.engine.lfu else int(db.access(key))
    idle = 0 if ctx.engine.lfu else max(0, int(ctx.engine.now) - access)
    address = _ADDRESS + 16 * (slot * 64 + db.index)
    line = (
        f"Value at:{address:#x} refcount:1 encoding:{encoding.decode()} "
        f"serializedlength:{len(save_value(value, ctx.engine.config)) - 1} lru:{access & 0xFFFFFF} "
        f"lru_seconds_idle:{idle}"
    )
    if isinstance(value, deque):
        fill = ctx.engine.config["list-max-listpack-size"]
        nodes = _quicklist_nodes(value, fill)
        line += (
            f" ql_nodes:{nodes} ql_avg_node:{len(value) / nodes:.2f} ql_listpack_max:{fill} "
            f"ql_compressed:{int(ctx.engine.config['list-compress-depth'] != 0)} "
            f"ql_uncompressed_size:{sum(map(len, value))}"
        )
    return Status(line.encode())


def _quicklist_nodes(value: deque[bytes], fill: int) -> int:
    """How many nodes Redis would need for the list, filled from one end."""
    entries_max = fill if fill > 0 else 2**16
    bytes_max = 8192 if fill > 0 else 4096 * 2 ** (min(5, max(1, -fill)) - 1)
    nodes, entries, size = 1, 0, 0
    for item in value:
        if entries and (entries + 1 > entries_max or size + len(item) > bytes_max):
            nodes, entries, size = nodes + 1, 0, 0
        entries, size = entries + 1, size + len(item)
    return nodes


def _digest(ctx: Session) -> Reply:
    return Status(dataset_digest(ctx.engine.databases).hex().encode())


def _digest_value(ctx: Session, *keys: bytes) -> Reply:
    return [Status(value_digest(ctx.db, key).hex().encode()) for key in keys]


def _set_active_expire(ctx: Session, raw: bytes) -> Reply:
    ctx.engine.active_expire = _flag(raw)
    return OK


def _reload(ctx: Session, *options: bytes) -> Reply:
    words = {option.upper() for option in options}
    if words - {b"MERGE", b"NOFLUSH", b"NOSAVE"}:
        raise CommandError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    try:
        ctx.engine.saving.dump.reload(
            save=b"NOSAVE" not in words, flush=b"NOFLUSH" not in words, merge=b"MERGE" in words
        )
    except (CorruptPayload, OSError):
        raise CommandError("ERR Error trying to load the RDB dump") from None
    return OK


def _loadaof(ctx: Session, *_arguments: bytes) -> Reply:
    try:
        ctx.engine.saving.log.reload()
    except ConfigError:
        raise CommandError("ERR Error trying to load the AOF") from None
    return OK


def _pause_cron(ctx: Session, raw: bytes) -> Reply:
    ctx.engine.cron_paused = raw.strip() not in (b"0", b"")
    return OK


def _populate(ctx: Session, raw: bytes, prefix: bytes = b"key", size: bytes = b"0") -> Reply:
    count = parse_int(raw, NEGATIVE_COUNT, low=0)
    width = parse_int(size, NEGATIVE_COUNT, low=0)
    db: Database = ctx.db
    for number in range(count):
        key = b"%s:%d" % (prefix, number)
        if key in db:
            continue
        content = b"value:%d" % number
        db.put(key, content[:width].ljust(width, b"\0") if width else content)
        db.changed(key)
    return OK


def _stringmatch_len(_ctx: Session, raw: bytes, pattern: bytes) -> Reply:
    length = parse_int(raw, NEGATIVE_COUNT, low=0, high=_STRINGMATCH_LENGTH_MAX)
    return int(bool(glob_matcher(pattern)(b"a" * length)))


def _protocol(ctx: Session, raw: bytes) -> Reply:
    kind = raw.lower()
    if kind == b"attrib":
        reply = b"Some real reply following the attribute"
        if ctx.protocol == 2 or ctx.front is None:
            return reply
        return Attributed({b"key-popularity": [b"key:123", 90]}, reply)
    if kind == b"push":
        if ctx.protocol == 2:
            raise CommandError("ERR RESP2 is not supported by this command")
        ctx.deliver(Push([b"server-cpu-usage", 42]))
        return b"Some real reply following the push reply"
    if kind not in _PROTOCOL:
        raise CommandError(
            "ERR Wrong protocol type name. Please use one of the following: string|integer|double|"
            "bignum|null|array|set|map|attrib|push|verbatim|true|false"
        )
    return _PROTOCOL[kind]


_PROTOCOL: dict[bytes, Reply] = {
    b"string": b"Hello World",
    b"integer": 12345,
    b"double": 3.141,
    b"bignum": BigNumber(b"1234567999999999999999999999999999999"),
    b"null": None,
    b"array": [0, 1, 2],
    b"set": SetReply([0, 1, 2]),
    b"map": {0: False, 1: True, 2: False},
    b"verbatim": Verbatim(b"This is a verbatim\nstring"),
    b"true": True,
    b"false": False,
}


def _error(_ctx: Session, raw: bytes) -> Reply:
    raise CommandError(text(raw))


def _listpack(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.peek(key)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    if values.encoding(value, ctx.engine.config) != b"listpack":
        raise CommandError("ERR Not a listpack encoded object.")
    return Status(b"Listpack structure printed on stdout")


def _quicklist_packed_threshold(_ctx: Session, raw: bytes) -> Reply:
    """Accepted for what it says of tests: lists have no packed nodes here, so nothing changes."""
    try:
        valid = parse_memory(text(raw)) < _QUICKLIST_THRESHOLD_MAX
    except ConfigError:
        valid = False
    if not valid:
        raise CommandError("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
    return OK


def _change_repl_id(ctx: Session) -> Reply:
    ctx.engine.replication_id = os.urandom(20).hex()
    return OK


def _skip_checksums(ctx: Session, raw: bytes) -> Reply:
    ctx.engine.verify_checksums = not _flag(raw)
    return OK


def _disable_deny_scripts(ctx: Session, raw: bytes) -> Reply:
    ctx.engine.scripts_may_all = _flag(raw)
    return OK


def _nothing(_ctx: Session, *_arguments: bytes) -> Reply:
    return OK


def _flag(raw: bytes) -> bool:
    """Whether a text is a number other than 0, as C reads one."""
    return raw.strip() not in (b"0", b"")


def _replybuffer(_ctx: Session, name: bytes, value: bytes) -> Reply:
    option = name.lower()
    if option == b"peak-reset-time":
        if value.lower() not in (b"never", b"reset"):
            parse_int(value)
    elif option != b"resizing":
        raise wrong_subcommand_arity("DEBUG", b"replybuffer")
    return OK


def _sdslen(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.peek(key)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    if not isinstance(value, bytes | bytearray):
        raise CommandError("ERR Not an sds encoded string.")
    line = (
        f"key_sds_len:{len(key)}, key_sds_avail:0, key_zmalloc: {sys.getsizeof(key)}, "
        f"val_sds_len:{len(value)}, val_sds_avail:0, val_zmalloc: {sys.getsizeof(value)}"
    )
    return Status(line.encode())


def _quicklist(ctx: Session, key: bytes, _full: bytes = b"0") -> Reply:
    value = ctx.db.peek(key)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    if not isinstance(value, deque):
        raise CommandError("ERR Not a quicklist encoded object.")
    return Status(b"Quicklist structure printed on stdout")


def _htstats(ctx: Session, raw: bytes) -> Reply:
    index = parse_int(raw)
    if not 0 <= index < len(ctx.engine.databases):
        raise CommandError("ERR Out of range database")
    database = ctx.engine.databases[index]
    return Verbatim(
        b"[Dictionary HT]\n number of elements: %d\n[Expires HT]\n number of elements: %d\n"
        % (len(database), database.volatile)
    )


def _htstats_key(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.peek(key)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    if values.encoding(value, ctx.engine.config) not in (b"hashtable", b"skiplist"):
        raise CommandError(
            "ERR The value stored at the specified key is not represented using an hash table"
        )
    return Verbatim(b" number of elements: %d\n" % len(value))


def _client_eviction(ctx: Session) -> Reply:
    if not ctx.engine.config["maxmemory-clients"]:
        raise CommandError("ERR maxmemory-clients is disabled.")
    sizes = [session.memory_bytes for session in ctx.engine.sessions.values()]
    return Verbatim(b"tot-mem: %d, clients: %d\n" % (sum(sizes), len(sizes)))


def _rewrite(_ctx: Session) -> Reply:
    raise CommandError("ERR CONFIG-REWRITE-FORCE-ALL failed: No such file or directory")


_CHILDREN: dict[bytes, _Child] = {
    b"HELP": _Child(_help, 0, 0),
    b"SLEEP": _Child(_sleep, 1, 1),
    b"OBJECT": _Child(_object, 1, 1),
    b"DIGEST": _Child(_digest, 0, 0),
    b"DIGEST-VALUE": _Child(_digest_value, 0, 2**31),
    b"SET-ACTIVE-EXPIRE": _Child(_set_active_expire, 1, 1),
    b"PAUSE-CRON": _Child(_pause_cron, 1, 1),
    b"POPULATE": _Child(_populate, 1, 3),
    b"STRINGMATCH-LEN": _Child(_stringmatch_len, 2, 2),
    b"PROTOCOL": _Child(_protocol, 1, 1),
    b"ERROR": _Child(_error, 1, 1),
    b"LISTPACK": _Child(_listpack, 1, 1),
    b"QUICKLIST-PACKED-THRESHOLD": _Child(_quicklist_packed_threshold, 1, 1),
    b"CHANGE-REPL-ID": _Child(_change_repl_id, 0, 0),
    b"RELOAD": _Child(_reload, 0, 2**31),
    b"LOADAOF": _Child(_loadaof, 0, 2**31),
    b"LOG": _Child(_nothing, 1, 1),
    b"REPLICATE": _Child(_nothing, 1, 2**31),
    b"AOF-FLUSH-SLEEP": _Child(_nothing, 1, 1),
    b"SET-SKIP-CHECKSUM-VALIDATION": _Child(_skip_checksums, 1, 1),
    b"SET-DISABLE-DENY-SCRIPTS": _Child(_disable_deny_scripts, 1, 1),
    b"REPLYBUFFER": _Child(_replybuffer, 2, 2),
    b"SDSLEN": _Child(_sdslen, 1, 1),
    b"QUICKLIST": _Child(_quicklist, 1, 2),
    b"HTSTATS": _Child(_htstats, 1, 1),
    b"HTSTATS-KEY": _Child(_htstats_key, 1, 1),
    b"CLIENT-EVICTION": _Child(_client_eviction, 0, 0),
    b"CONFIG-REWRITE-FORCE-ALL": _Child(_rewrite, 0, 0),
}
