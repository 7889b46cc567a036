"""Streams as logs: adding entries, ranges of them, and cutting off what is old.

Reading on from an id, waiting included, is `streamreads`; consumer groups are `streamgroups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import NO_SUCH_KEY, SYNTAX, CommandError, wrong_arity
from cacheapp.engine.keyspecs import key_at
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NULL_ARRAY, OK, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.streamids import parse_end, parse_id, parse_partial_id, parse_start
from cacheapp.engine.structures.stream import ID_MAX, SEQUENCE_MASK, Record, Stream

_TWO_STRATEGIES = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
_LIMIT_ALONE = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
_LIMIT_EXACT = "ERR syntax error, LIMIT cannot be used without the special ~ option"
_NO_STRATEGY = "ERR syntax error, XTRIM must be called with a trimming strategy"
_NEGATIVE_MAXLEN = "ERR The MAXLEN argument must be >= 0."
_NEGATIVE_LIMIT = "ERR The LIMIT argument must be >= 0."
_ZERO_ID = "ERR The ID specified in XADD must be greater than 0-0"
_ID_TOO_LOW = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
_EXHAUSTED = "ERR The stream has exhausted the last possible ID, unable to add more items"
_TOO_LARGE = "ERR Elements are too large to be stored"
_SETID_BELOW_TOP = "ERR The ID specified in XSETID is smaller than the target stream top item"
_SETID_BELOW_GIVEN = (
    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
)
_NEGATIVE_ADDED = "ERR entries_added must be positive"
_ADDED_BELOW_LENGTH = (
    "ERR The entries_added specified in XSETID is smaller than the target stream length"
)

# Redis holds an entry in one listpack, and refuses larger ones.
_ENTRY_BYTES_MAX = 1 << 30
# Without LIMIT, `~` looks at no more than so many full nodes, within these bounds.
_NODES_LIMIT = 100
_LIMIT_DEFAULT = 10_000
_LIMIT_MAX = 1_000_000


@dataclass(slots=True)
class _Trimming:
    """MAXLEN or MINID with what belongs to them."""

    length_max: int | None = None
    min_id: int | None = None
    whole: bool = False
    limit: int | None = None

    @property
    def wanted(self) -> bool:
        return self.length_max is not None or self.min_id is not None

    def check(self) -> None:
        """Raise CommandError for a LIMIT that does not go with the rest."""
        if self.limit and not self.wanted:
            raise CommandError(_LIMIT_ALONE)

    def check_limit(self) -> None:
        if self.limit is not None and not self.whole:
            raise CommandError(_LIMIT_EXACT)

    def apply(self, ctx: Session, stream: Stream) -> int:
        """Trim `stream`; how many entries went."""
        limit = self.limit or 0
        if self.limit is None and self.whole:
            limit = _NODES_LIMIT * ctx.engine.config["stream-node-max-entries"]
            limit = min(limit or _LIMIT_DEFAULT, _LIMIT_MAX)
        return stream.trim(
            length_max=self.length_max, min_id=self.min_id or 0, whole=self.whole, limit=limit
        )

    def option(self, arguments: tuple[bytes, ...], place: int) -> int:
        """Read the option at `place`; the place after it, or `place` itself if it is none."""
        word, more = arguments[place].upper(), len(arguments) - place - 1
        if not more or word not in (b"MAXLEN", b"MINID", b"LIMIT"):
            return place
        place += 1
        if word == b"LIMIT":
            self.limit = parse_int(arguments[place])
            if self.limit < 0:
                raise CommandError(_NEGATIVE_LIMIT)
            return place + 1
        if self.wanted:
            raise CommandError(_TWO_STRATEGIES)
        self.whole = more > 1 and arguments[place] == b"~"
        if more > 1 and arguments[place] in (b"~", b"="):
            place += 1
        if word == b"MINID":
            self.min_id = parse_id(arguments[place])
        else:
            self.length_max = parse_int(arguments[place])
            if self.length_max < 0:
                raise CommandError(_NEGATIVE_MAXLEN)
        return place + 1


@command(
    "XADD", arity=-5, flags="write denyoom fast",
    keys=key_at(1, "RW update", note="Updated, not only inserted to: it may be trimmed."),
    group="stream", since="5.0.0",
    complexity="O(1) to add, O(N) to trim, where N is the number of entries that go.",
    summary="Appends a new entry to a stream. Creates the key if it doesn't exist.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def xadd(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    trimming: _Trimming | None = None
    given: tuple[int, bool] | None = None
    create, place = True, 0
    if arguments[0] != b"*":
        trimming, given, create, place = _before_items(arguments)
    items = arguments[place + 1 :]
    size = len(items)
    if size < 2 or size % 2:
        raise wrong_arity("xadd")
    if given == (0, True):
        raise CommandError(_ZERO_ID)
    db = ctx.db
    stream: Stream | None = db.edit(key, Stream)
    new = stream is None
    if stream is None:
        if not create:
            return None
        stream = Stream()
    number = _number_for(ctx, stream, given)
    size_bytes = len(items[0]) + len(items[1]) if size == 2 else sum(map(len, items))
    if size_bytes > _ENTRY_BYTES_MAX:
        raise CommandError(_TOO_LARGE)
    if new:
        db.put(key, stream)
    limits = ctx.engine.config.values
    stream.append(
        number,
        items,
        limits["stream-node-max-entries"],
        limits["stream-node-max-bytes"],
        size_bytes,
    )
    db.changed(key, b"xadd")
    if (
        trimming is not None
        and (trimming.length_max is None or trimming.length_max < stream.length)
        and trimming.wanted
        and trimming.apply(ctx, stream)
    ):
        db.changed(key, b"xtrim")
    return b"%d-%d" % (number >> 64, number & SEQUENCE_MASK)


def xadd_pair(
    ctx: Session, key: bytes, field: bytes, value: bytes, length_max: int | None, whole: bool
) -> Reply:
    """XADD of one field under the next id, MAXLEN `length_max` (with `~` if `whole`)."""
    db, limits = ctx.db, ctx.engine.config.values
    stream: Stream | None = db.edit(key, Stream)
    size_bytes = len(field) + len(value)
    if stream is None or size_bytes > _ENTRY_BYTES_MAX:
        return xadd(ctx, key, *_words_of_maxlen(length_max, whole), b"*", field, value)
    number = _number_for(ctx, stream, None)
    stream.append(
        number,
        (field, value),
        limits["stream-node-max-entries"],
        limits["stream-node-max-bytes"],
        size_bytes,
    )
    db.changed(key, b"xadd")
    if (
        length_max is not None
        and length_max < stream.length
        and _Trimming(length_max, whole=whole).apply(ctx, stream)
    ):
        db.changed(key, b"xtrim")
    return b"%d-%d" % (number >> 64, number & SEQUENCE_MASK)


def _words_of_maxlen(length_max: int | None, whole: bool) -> tuple[bytes, ...]:
    if length_max is None:
        return ()
    raw = b"%d" % length_max
    return (b"MAXLEN", b"~", raw) if whole else (b"MAXLEN", raw)


def _before_items(
    arguments: tuple[bytes, ...],
) -> tuple[_Trimming | None, tuple[int, bool] | None, bool, int]:
    """Of XADD: how to trim, the id (None: the next one), whether to make a key, where the id is."""
    trimming: _Trimming | None = None
    given: tuple[int, bool] | None = None
    create, place = True, 0
    if arguments[0] == b"MAXLEN" and len(arguments) > 3 and arguments[3] == b"*":
        # To read it again and again takes longer than to add an entry.
        trimming = _usual_trimming(arguments[1], arguments[2])
        if trimming is not None:
            return trimming, None, True, 3
    while place < len(arguments) and arguments[place] != b"*":
        raw = arguments[place]
        if not raw[:1].isdigit():
            if trimming is None:
                trimming = _Trimming()
            after = trimming.option(arguments, place)
            if after > place:
                place = after
                continue
            if raw.upper() == b"NOMKSTREAM":
                create = False
                place += 1
                continue
        given = parse_partial_id(raw)
        break
    if trimming is not None:
        trimming.check()
        trimming.check_limit()
    return trimming, given, create, place


@lru_cache(maxsize=256)
def _usual_trimming(sign: bytes, raw: bytes) -> _Trimming | None:
    """What MAXLEN with these two arguments asks for, to be read only; None if it is another form.

    Before the id of an XADD nothing else than these can stand in two words.
    """
    trimming = _Trimming()
    return trimming if trimming.option((b"MAXLEN", sign, raw), 0) == 3 else None


def _number_for(ctx: Session, stream: Stream, given: tuple[int, bool] | None) -> int:
    """The id of a new entry: as `given` (with or without a sequence), or the next one."""
    last_id = stream.last_id
    if last_id == ID_MAX:
        raise CommandError(_EXHAUSTED)
    if given is None:
        number = int(ctx.engine.now * 1000) << 64
        return number if number > last_id else last_id + 1
    number, complete = given
    if not complete and number >> 64 == last_id >> 64:
        if last_id & SEQUENCE_MASK == SEQUENCE_MASK:
            # The text that Redis 7.0 has for it, whatever the reason.
            raise CommandError(_TOO_LARGE)
        number = last_id + 1
    if number <= last_id:
        raise CommandError(_ID_TOO_LOW)
    return number


@command(
    "XTRIM", arity=-4, flags="write", keys=(1, 1, 1), key_flags="RW delete", group="stream",
    since="5.0.0", complexity="O(N), where N is the number of entries that go.",
    summary="Deletes messages from the beginning of a stream.", tips=("nondeterministic_output",),
)  # fmt: skip
def xtrim(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    trimming, place = _Trimming(), 0
    while place < len(arguments):
        after = trimming.option(arguments, place)
        if after == place:
            raise CommandError(SYNTAX)
        place = after
    trimming.check()
    if not trimming.wanted:
        raise CommandError(_NO_STRATEGY)
    trimming.check_limit()
    stream = ctx.db.edit(key, Stream)
    if stream is None:
        return 0
    removed = trimming.apply(ctx, stream)
    if removed:
        ctx.db.changed(key, b"xtrim")
    return removed


@command(
    "XRANGE", arity=-4, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="stream",
    since="5.0.0", complexity="O(N) with N being the number of elements being returned.",
    summary="Returns the messages from a stream within a range of IDs.",
)  # fmt: skip
def xrange(ctx: Session, key: bytes, start: bytes, end: bytes, *options: bytes) -> Reply:
    low, high = _interval(start, end)
    return _range(ctx, key, low, high, options)


def xrange_records(
    ctx: Session, key: bytes, start: bytes, end: bytes, count: int | None
) -> list[Record]:
    """XRANGE with the pairs of each entry as a dict, for who is in this process."""
    low, high = _interval(start, end)
    return _records(ctx, key, low, high, count, False)


@command(
    "XREVRANGE", arity=-4, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="stream", since="5.0.0",
    complexity="O(N) with N being the number of elements returned.",
    summary="Returns the messages from a stream within a range of IDs in reverse order.",
)  # fmt: skip
def xrevrange(ctx: Session, key: bytes, end: bytes, start: bytes, *options: bytes) -> Reply:
    low, high = _interval(start, end)
    return _range(ctx, key, low, high, options, reverse=True)


def xrevrange_records(
    ctx: Session, key: bytes, end: bytes, start: bytes, count: int | None
) -> list[Record]:
    """XREVRANGE, as `xrange_records`."""
    low, high = _interval(start, end)
    return _records(ctx, key, low, high, count, True)


def _records(
    ctx: Session, key: bytes, low: int, high: int, count: int | None, reverse: bool
) -> list[Record]:
    stream: Stream | None = ctx.db.read(key, Stream)
    if stream is None:
        return []
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(stream)
    return stream.records(low, high, count or 0, reverse)


def _interval(start: bytes, end: bytes) -> tuple[int, int]:
    """The lowest and the highest id; most ask for all there is."""
    return (
        0 if start == b"-" else parse_start(start),
        ID_MAX if end == b"+" else parse_end(end),
    )


def _range(
    ctx: Session, key: bytes, start: int, end: int, options: tuple[bytes, ...],
    *, reverse: bool = False,
) -> Reply:  # fmt: skip
    count: int | None = None
    for at in range(0, len(options), 2):
        if options[at].upper() != b"COUNT" or at + 1 == len(options):
            raise CommandError(SYNTAX)
        count = parse_int(options[at + 1])
    stream = ctx.db.read(key, Stream)
    if stream is None:
        return []
    if count is not None and count <= 0:
        return NULL_ARRAY
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(stream)
    return stream.range(start, end, count or 0, reverse)


@command(
    "XLEN", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="stream",
    since="5.0.0", summary="Returns the number of messages in a stream.",
)  # fmt: skip
def xlen(ctx: Session, key: bytes) -> Reply:
    stream = ctx.db.read(key, Stream)
    return 0 if stream is None else stream.length


@command(
    "XDEL", arity=-3, flags="write fast", keys=(1, 1, 1), key_flags="RW delete", group="stream",
    since="5.0.0", complexity="O(log N) for each item, regardless of the size of the stream.",
    summary="Removes messages from a stream and returns how many were there.",
)  # fmt: skip
def xdel(ctx: Session, key: bytes, *names: bytes) -> Reply:
    stream = ctx.db.edit(key, Stream)
    if stream is None:
        return 0
    deleted = sum(map(stream.delete, [parse_id(name) for name in names]))
    if deleted:
        ctx.db.changed(key, b"xdel")
    return deleted


@command(
    "XSETID", arity=-3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW update",
    group="stream", since="5.0.0", summary="Sets the last ID and the counters of a stream.",
)  # fmt: skip
def xsetid(ctx: Session, key: bytes, last_id: bytes, *options: bytes) -> Reply:
    number = parse_id(last_id)
    added, deleted_id = -1, 0
    words = iter(options)
    for word in words:
        option, raw = word.upper(), next(words, None)
        if raw is None or option not in (b"ENTRIESADDED", b"MAXDELETEDID"):
            raise CommandError(SYNTAX)
        if option == b"ENTRIESADDED":
            added = parse_int(raw)
            if added < 0:
                raise CommandError(_NEGATIVE_ADDED)
        else:
            deleted_id = parse_id(raw)
            if number < deleted_id:
                raise CommandError(_SETID_BELOW_GIVEN)
    stream = ctx.db.edit(key, Stream)
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    if stream.length:
        if number < stream.top_id():
            raise CommandError(_SETID_BELOW_TOP)
        if -1 < added < stream.length:
            raise CommandError(_ADDED_BELOW_LENGTH)
    stream.last_id = number
    if added >= 0:
        stream.entries_added = added
    if deleted_id:
        stream.max_deleted_id = deleted_id
    ctx.db.noted(key, b"xsetid")
    return OK
