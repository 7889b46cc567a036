"""Positions in a sorted set: GEOADD, what a member's position is, and searches around a centre.

The score of a member is its geohash (see `structures.geohash`); the key is a sorted set like any
other. Replies come in Redis's order also where it is not sorted: cell by cell. GEORADIUS and its
kin are GEOSEARCH with the centre and the radius in fixed places.

Left out on purpose: the name of the command as the client spelled it, which Redis repeats in two
error texts; here it is in upper case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cacheapp.engine.arguments import parse_float, parse_int
from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.keyspecs import KeyAccess, Range, access, key_at, keys_after
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NULL_ARRAY, FixedPoint, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.structures.geohash import (
    Position,
    Shape,
    distance_m,
    is_on_map,
    position_of,
    score_at,
    score_of,
    text_of,
)
from cacheapp.engine.structures.partialsort import first_sorted
from cacheapp.engine.structures.sortedset import SortedSet

_UNITS_M = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}
_ADD_OPTIONS = frozenset({b"NX", b"XX", b"CH"})


def _position(raw_longitude: bytes, raw_latitude: bytes) -> Position:
    longitude, latitude = parse_float(raw_longitude), parse_float(raw_latitude)
    if not is_on_map(longitude, latitude):
        pair = f"{longitude:f},{latitude:f}"
        raise CommandError(f"ERR invalid longitude,latitude pair {pair}")
    return Position(longitude, latitude)


def _unit_m(raw: bytes) -> float:
    unit = _UNITS_M.get(raw.lower())
    if unit is None:
        raise CommandError("ERR unsupported unit provided. please use M, KM, FT, MI")
    return unit


def _format_distance(distance: float) -> bytes:
    return b"%.4f" % distance


def _coordinates(position: Position) -> list[FixedPoint]:
    # Rounded to what is printed, so that clients in the process get the same numbers.
    return [FixedPoint(round(degrees, 17)) for degrees in position]


# Members


@command(
    "GEOADD", arity=-5, flags="write denyoom", keys=(1, 1, 1), key_flags="RW update", group="geo",
    since="3.2.0", complexity="O(log(N)) a member",
    summary="Adds members with their positions to a sorted set.",
)  # fmt: skip
def geoadd(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    start = 0
    while start < len(arguments) and arguments[start].upper() in _ADD_OPTIONS:
        start += 1
    options = {word.upper() for word in arguments[:start]}
    items = arguments[start:]
    if not items or len(items) % 3 or {b"NX", b"XX"} <= options:
        raise CommandError(SYNTAX)
    scores = [
        score_of(_position(longitude, latitude))
        for longitude, latitude in zip(items[::3], items[1::3], strict=True)
    ]
    db, limits = ctx.db, ctx.engine.config.values
    entries_max = limits["zset-max-listpack-entries"]
    value_bytes_max = limits["zset-max-listpack-value"]
    found: SortedSet | None = db.edit(key, SortedSet)
    if found is None:
        if b"XX" in options:
            return 0
        found = SortedSet()
        db.put(key, found)
    added = updated = 0
    for member, score in zip(items[2::3], scores, strict=True):
        old = found.score(member)
        if score == old or (b"XX" if old is None else b"NX") in options:
            continue
        found.put(member, score, entries_max, value_bytes_max)
        added += old is None
        updated += old is not None
    if added or updated:
        db.changed(key, b"zadd")
    return added + updated if b"CH" in options else added


def geoadd_degrees(
    ctx: Session, key: bytes, longitude: float, latitude: float, member: bytes
) -> Reply:
    """GEOADD of one member, whose degrees are on the map, for who is in this process."""
    db, limits = ctx.db, ctx.engine.config.values
    found: SortedSet | None = db.edit(key, SortedSet)
    if found is None:
        found = SortedSet()
        db.put(key, found)
    score = score_at(longitude, latitude)
    old = found.put(
        member, score, limits["zset-max-listpack-entries"], limits["zset-max-listpack-value"]
    )
    if old == score:
        return 0
    db.changed(key, b"zadd")
    return 1 if old is None else 0


def _positions(ctx: Session, key: bytes, members: tuple[bytes, ...]) -> list[Position | None]:
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    if found is None:
        return [None] * len(members)
    scores = found.get_many(members)
    return [None if score is None else position_of(score) for score in scores]


@command(
    "GEOPOS", arity=-2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="geo",
    since="3.2.0", complexity="O(1) a member",
    summary="Returns the longitude and latitude of members.", shaped=True,
)  # fmt: skip
def geopos(ctx: Session, key: bytes, *members: bytes) -> Reply:
    return [
        NULL_ARRAY if position is None else _coordinates(position)
        for position in _positions(ctx, key, members)
    ]


@command(
    "GEOHASH", arity=-2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="geo",
    since="3.2.0", complexity="O(1) a member",
    summary="Returns the positions of members as standard geohash texts.",
)  # fmt: skip
def geohash(ctx: Session, key: bytes, *members: bytes) -> Reply:
    return [
        None if position is None else text_of(position)
        for position in _positions(ctx, key, members)
    ]


@command(
    "GEODIST", arity=-4, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="geo",
    since="3.2.0", summary="Returns the distance between two members.",
)  # fmt: skip
def geodist(ctx: Session, key: bytes, one: bytes, other: bytes, *unit: bytes) -> Reply:
    if len(unit) > 1:
        raise CommandError(SYNTAX)
    unit_m = _unit_m(unit[0]) if unit else 1.0
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    if found is None:
        return None
    first, second = found.score(one), found.score(other)
    if first is None or second is None:
        return None
    return b"%.4f" % (distance_m(position_of(first), position_of(second)) / unit_m)


# Searching


@dataclass(slots=True)
class _Query:
    """The arguments of a search; `found` is the sorted set, None where the key is missing."""

    found: SortedSet | None
    shape: Shape = field(default_factory=Shape)
    has_center: bool = False
    from_member: bool = False
    is_box: bool | None = None
    with_distance: bool = False
    with_hash: bool = False
    with_coordinates: bool = False
    descending: bool | None = None
    count: int = 0
    any: bool = False
    store: bytes | None = None
    store_distance: bool = False

    def take_member(self, member: bytes) -> None:
        """The centre is that of `member`."""
        if self.has_center and not self.from_member:
            raise CommandError(SYNTAX)
        self.has_center = self.from_member = True
        if self.found is None:
            return
        score = self.found.score(member)
        if score is None:
            raise CommandError("ERR could not decode requested zset member")
        self.shape.center = position_of(score)

    def take_position(self, longitude: bytes, latitude: bytes) -> None:
        """The centre is given."""
        if self.from_member:
            raise CommandError(SYNTAX)
        self.shape.center = _position(longitude, latitude)
        self.has_center = True

    def take_radius(self, radius: bytes, unit: bytes) -> None:
        """The shape is a circle."""
        if self.is_box:
            raise CommandError(SYNTAX)
        self.shape.radius = parse_float(radius, "ERR need numeric radius")
        if self.shape.radius < 0:
            raise CommandError("ERR radius cannot be negative")
        self.shape.unit_m = _unit_m(unit)
        self.is_box = False

    def take_box(self, width: bytes, height: bytes, unit: bytes) -> None:
        """The shape is a box."""
        if self.is_box is False:
            raise CommandError(SYNTAX)
        self.shape.width = parse_float(width, "ERR need numeric width")
        self.shape.height = parse_float(height, "ERR need numeric height")
        if self.shape.width < 0 or self.shape.height < 0:
            raise CommandError("ERR height or width cannot be negative")
        self.shape.unit_m = _unit_m(unit)
        self.is_box = True

    def take_count(self, raw: bytes) -> None:
        """At most so many elements."""
        self.count = parse_int(raw)
        if self.count <= 0:
            raise CommandError("ERR COUNT must be > 0")

    def take_store(self, key: bytes) -> None:
        """The result goes to `key`, with geohashes as scores."""
        self.store, self.store_distance = key, False

    def take_store_distance(self, key: bytes) -> None:
        """The result goes to `key`, with distances as scores."""
        self.store, self.store_distance = key, True

    def take_flag(self, word: bytes) -> bool:
        """An option without arguments; whether `word` is one."""
        if word in (b"ASC", b"DESC"):
            self.descending = word == b"DESC"
            return True
        name = _FLAGS.get(word)
        if name is not None:
            setattr(self, name, True)
        return name is not None


_FLAGS = {
    b"WITHDIST": "with_distance",
    b"WITHHASH": "with_hash",
    b"WITHCOORD": "with_coordinates",
    b"ANY": "any",
}
# How many arguments an option takes, and what takes them.
_Options = dict[bytes, tuple[int, Callable[..., None]]]
_READING: _Options = {b"COUNT": (1, _Query.take_count)}
_STORING: _Options = {
    **_READING,
    b"STORE": (1, _Query.take_store),
    b"STOREDIST": (1, _Query.take_store_distance),
}
_SEARCHING: _Options = {
    **_READING,
    b"FROMMEMBER": (1, _Query.take_member),
    b"FROMLONLAT": (2, _Query.take_position),
    b"BYRADIUS": (2, _Query.take_radius),
    b"BYBOX": (3, _Query.take_box),
}


def _read_options(query: _Query, words: tuple[bytes, ...], options: _Options) -> None:
    at = 0
    while at < len(words):
        word = words[at].upper()
        at += 1
        if query.take_flag(word):
            continue
        if word == b"STOREDIST" and query.store is not None and word not in options:
            query.store_distance = True
            continue
        count, take = options.get(word, (len(words), _Query.take_store))
        if at + count > len(words):
            raise CommandError(SYNTAX)
        take(query, *words[at : at + count])
        at += count


def _check(query: _Query, name: str) -> None:
    """Raise for options that do not go together; `name` is of GEOSEARCH or GEOSEARCHSTORE."""
    shows = query.with_distance or query.with_hash or query.with_coordinates
    if query.store is not None and shows:
        storing = name if name == "GEOSEARCHSTORE" else "STORE option in GEORADIUS"
        raise CommandError(
            f"ERR {storing} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
        )
    if name and not query.has_center:
        raise CommandError(
            f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
        )
    if name and query.is_box is None:
        raise CommandError(f"ERR exactly one of BYRADIUS and BYBOX can be specified for {name}")
    if query.any and not query.count:
        raise CommandError("ERR the ANY argument requires COUNT argument")


@dataclass(slots=True)
class _Match:
    """A member inside the shape; the distance is in metres."""

    member: bytes
    score: float
    position: Position
    distance: float


def _matches(found: SortedSet, shape: Shape) -> Iterator[_Match]:
    for cell in shape.cells():
        low, high = cell.scores()
        for score, member in found.slice(*found.score_range(low, False, high, True)):
            position = position_of(score)
            distance = shape.distance_inside(position)
            if distance is not None:
                yield _Match(member, score, position, distance)


def _results(found: SortedSet, query: _Query) -> list[_Match]:
    matches: list[_Match] = []
    for match in _matches(found, query.shape):
        matches.append(match)
        if query.any and len(matches) == query.count:
            break
    descending = query.descending
    if descending is None and (query.any or not query.count):
        return matches
    keys = [-match.distance if descending else match.distance for match in matches]
    return first_sorted(matches, keys, query.count or len(matches))


def _shown(match: _Match, query: _Query) -> Reply:
    parts: list[Reply] = [match.member]
    if query.with_distance:
        parts.append(_format_distance(match.distance / query.shape.unit_m))
    if query.with_hash:
        parts.append(int(match.score) if abs(match.score) < 2.0**63 else -(2**63))
    if query.with_coordinates:
        parts.append(_coordinates(match.position))
    return parts if len(parts) > 1 else match.member


def _run(ctx: Session, query: _Query, name: str) -> Reply:
    """Do what `query` asks for; `name` is the command's, empty for the kin of GEORADIUS."""
    _check(query, name)
    results = [] if query.found is None else _results(query.found, query)
    if query.store is None:
        return [_shown(match, query) for match in results]
    if not results:
        ctx.db.delete(query.store)
        return 0
    limits = ctx.engine.config.values
    scores = {
        match.member: match.distance / query.shape.unit_m if query.store_distance else match.score
        for match in results
    }
    made = SortedSet.of(
        scores, limits["zset-max-listpack-entries"], limits["zset-max-listpack-value"]
    )
    ctx.db.put(query.store, made)
    ctx.db.changed(query.store, b"geosearchstore" if name else b"georadiusstore")
    return len(results)


@command(
    "GEOSEARCH", arity=-7, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="geo",
    since="6.2.0", complexity="O(N+log(M)) for N members in the area around the shape",
    summary="Returns the members inside a circle or a box.", shaped=True,
)  # fmt: skip
def geosearch(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    query = _Query(ctx.db.read(key, SortedSet))
    _read_options(query, arguments, _SEARCHING)
    return _run(ctx, query, "GEOSEARCH")


@command(
    "GEOSEARCHSTORE", arity=-8, flags="write denyoom",
    keys=(key_at(1, "OW update"), key_at(2, "RO access")), group="geo", since="6.2.0",
    complexity="O(N+log(M)) for N members in the area around the shape",
    summary="Stores the members inside a circle or a box in a sorted set.",
)  # fmt: skip
def geosearchstore(ctx: Session, target: bytes, key: bytes, *arguments: bytes) -> Reply:
    query = _Query(ctx.db.read(key, SortedSet), store=target)
    _read_options(query, arguments, _SEARCHING)
    return _run(ctx, query, "GEOSEARCHSTORE")


def _around_position(
    ctx: Session, key: bytes, words: tuple[bytes, ...], options: _Options
) -> Reply:
    query = _Query(ctx.db.read(key, SortedSet))
    query.take_position(words[0], words[1])
    query.take_radius(words[2], words[3])
    _read_options(query, words[4:], options)
    return _run(ctx, query, "")


def _around_member(ctx: Session, key: bytes, words: tuple[bytes, ...], options: _Options) -> Reply:
    query = _Query(ctx.db.read(key, SortedSet))
    if query.found is not None:
        query.take_member(words[0])
        query.take_radius(words[1], words[2])
    _read_options(query, words[3:], options)
    return _run(ctx, query, "")


def _find_keys(args: list[bytes]) -> list[KeyAccess]:
    """The key, and that of the last STORE or STOREDIST which has one."""
    source = (1, access("RO access"))
    found, at = [source], 5
    while at + 1 < len(args):
        if args[at].upper() in (b"STORE", b"STOREDIST"):
            at += 1
            found = [source, (at, access("OW update"))]
        at += 1
    return found


@command(
    "GEORADIUS", arity=-6, flags="write denyoom", keys=(
        key_at(1, "RO access"),
        keys_after("STORE", 6, Range(0, 1, 0), "OW update"),
        keys_after("STOREDIST", 6, Range(0, 1, 0), "OW update"),
    ), find_keys=_find_keys, group="geo", since="3.2.0",
    complexity="O(N+log(M)) for N members in the area of the circle",
    summary="Returns or stores the members inside a circle around a position.", shaped=True,
)  # fmt: skip
def georadius(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _around_position(ctx, key, arguments, _STORING)


@command(
    "GEORADIUS_RO", arity=-6, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="geo",
    since="3.2.10", complexity="O(N+log(M)) for N members in the area of the circle",
    summary="Returns the members inside a circle around a position.", shaped=True,
)  # fmt: skip
def georadius_ro(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _around_position(ctx, key, arguments, _READING)


@command(
    "GEORADIUSBYMEMBER", arity=-5, flags="write denyoom", keys=(
        key_at(1, "RO access"),
        keys_after("STORE", 5, Range(0, 1, 0), "OW update"),
        keys_after("STOREDIST", 5, Range(0, 1, 0), "OW update"),
    ), find_keys=_find_keys, group="geo", since="3.2.0",
    complexity="O(N+log(M)) for N members in the area of the circle",
    summary="Returns or stores the members inside a circle around a member.", shaped=True,
)  # fmt: skip
def georadiusbymember(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _around_member(ctx, key, arguments, _STORING)


@command(
    "GEORADIUSBYMEMBER_RO", arity=-5, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="geo", since="3.2.10", complexity="O(N+log(M)) for N members in the area of the circle",
    summary="Returns the members inside a circle around a member.", shaped=True,
)  # fmt: skip
def georadiusbymember_ro(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _around_member(ctx, key, arguments, _READING)
