"""Positions on both servers: digits, orders, stored results, refusals to the letter."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError

SYNTAX = "ERR syntax error"
UNIT = "ERR unsupported unit provided. please use M, KM, FT, MI"
NO_MEMBER = "ERR could not decode requested zset member"


def refused(server: Server, *args: Argument) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


@pytest.fixture
def sicily(server: Server) -> Server:
    """`g` with four towns of Sicily."""
    server.execute(
        "GEOADD", "g", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania",
        12.758489, 38.788135, "edge1", 17.241510, 38.788135, "edge2",
    )  # fmt: skip
    return server


def test_add(sicily: Server) -> None:
    execute = sicily.execute
    assert execute("TYPE", "g") == b"zset"
    assert execute("ZSCORE", "g", "Palermo") == b"3479099956230698"
    assert execute("GEOADD", "g", 13.5, 38, "Palermo", 14, 38, "new") == 1
    assert execute("GEOADD", "g", "CH", 13.6, 38, "Palermo", 14, 39, "newer") == 2
    assert execute("GEOADD", "g", "NX", "CH", 1, 1, "Palermo", 14, 39, "newest") == 1
    assert execute("GEOADD", "g", "xx", 1, 1, "nobody") == 0
    assert execute("GEOADD", "missing", "XX", 1, 1, "nobody") == 0
    assert execute("EXISTS", "missing") == 0


def test_positions(sicily: Server) -> None:
    assert sicily.execute("GEOPOS", "g", "Palermo", "nobody") == [
        [b"13.36138933897018433", b"38.11555639549629859"],
        None,
    ]
    assert sicily.execute("GEOPOS", "missing", "x") == [None]
    assert sicily.execute("GEOPOS", "g") == []
    assert sicily.raw(3).execute("GEOPOS", "g", "Palermo") == [
        [13.36138933897018433, 38.11555639549629859]
    ]
    sicily.execute("GEOADD", "g", 0, 0, "origin")
    assert sicily.execute("GEOPOS", "g", "origin") == [
        [b"0.00000268220901489", b"0.00000126736058093"]
    ]


def test_texts(sicily: Server) -> None:
    assert sicily.execute("GEOHASH", "g", "Palermo", "Catania", "x") == [
        b"sqc8b49rny0",
        b"sqdtr74hyu0",
        None,
    ]
    assert sicily.execute("GEOHASH", "missing", "x") == [None]


@pytest.mark.parametrize(
    ("unit", "distance"),
    [([], b"166274.1516"), (["km"], b"166.2742"), (["MI"], b"103.3182"), (["ft"], b"545518.8700")],
)
def test_distances(sicily: Server, unit: list[Argument], distance: bytes) -> None:
    assert sicily.execute("GEODIST", "g", "Palermo", "Catania", *unit) == distance


def test_distances_that_are_not_there(sicily: Server) -> None:
    assert sicily.execute("GEODIST", "g", "Palermo", "nobody") is None
    assert sicily.execute("GEODIST", "missing", "a", "b") is None
    assert refused(sicily, "GEODIST", "g", "a", "b", "yd") == UNIT
    assert refused(sicily, "GEODIST", "g", "a", "b", "m", "m") == SYNTAX


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("FROMLONLAT 15 37 BYRADIUS 200 km ASC", "Catania Palermo"),
        ("FROMLONLAT 15 37 BYRADIUS 200 km DESC", "Palermo Catania"),
        ("BYBOX 400 400 km FROMLONLAT 15 37 asc", "Catania Palermo edge2 edge1"),
        ("FROMMEMBER Palermo BYRADIUS 200 km COUNT 2", "Palermo edge1"),
        ("FROMMEMBER Palermo BYRADIUS 200 km COUNT 1 DESC", "Catania"),
        ("FROMMEMBER Palermo BYRADIUS 0 m", "Palermo"),
        ("FROMMEMBER Palermo BYBOX 0 0 m", "Palermo"),
        ("FROMLONLAT 100 10 BYRADIUS 1 km", ""),
    ],
)
def test_search(sicily: Server, arguments: str, names: str) -> None:
    found = sicily.execute("GEOSEARCH", "g", *arguments.split())
    assert b" ".join(found).decode() == names


def test_what_is_shown(sicily: Server) -> None:
    shown = ("WITHCOORD", "WITHDIST", "WITHHASH", "COUNT", 1)
    search = ("GEOSEARCH", "g", "FROMLONLAT", 15, 37, "BYRADIUS", 200, "km", *shown)
    distance, hashed = b"56.4413", 3479447370796909
    assert sicily.execute(*search) == [
        [b"Catania", distance, hashed, [b"15.08726745843887329", b"37.50266842333162032"]]
    ]
    assert sicily.raw(3).execute(*search) == [
        [b"Catania", distance, hashed, [15.08726745843887329, 37.50266842333162032]]
    ]


def test_radius_commands(sicily: Server) -> None:
    around = ("GEORADIUS", "g", 15, 37, 200, "km", "ASC")
    assert sicily.execute(*around) == [b"Catania", b"Palermo"]
    assert sicily.execute(*around, "WITHDIST") == [
        [b"Catania", b"56.4413"],
        [b"Palermo", b"190.4424"],
    ]
    assert sicily.execute("GEORADIUS_RO", *around[1:]) == [b"Catania", b"Palermo"]
    member = ("g", "Palermo", 100, "km", "ASC")
    assert sicily.execute("GEORADIUSBYMEMBER", *member) == [b"Palermo", b"edge1"]
    assert sicily.execute("GEORADIUSBYMEMBER_RO", *member) == [b"Palermo", b"edge1"]
    assert refused(sicily, "GEORADIUS_RO", *around[1:], "STORE", "d") == SYNTAX
    assert sicily.execute("GEORADIUS", "missing", *around[2:]) == []


def test_storing(sicily: Server) -> None:
    execute = sicily.execute
    around = ("FROMLONLAT", 15, 37, "BYRADIUS", 200, "km")
    assert execute("GEOSEARCHSTORE", "d", "g", *around) == 2
    assert execute("ZRANGE", "d", 0, -1, "WITHSCORES") == [
        b"Palermo", b"3479099956230698", b"Catania", b"3479447370796909",
    ]  # fmt: skip
    assert execute("GEOSEARCHSTORE", "d", "g", *around, "COUNT", 1, "STOREDIST") == 1
    assert execute("ZRANGE", "d", 0, -1, "WITHSCORES") == [b"Catania", b"56.441257870158204"]
    assert execute("GEORADIUS", "g", 15, 37, 200, "km", "STORE", "e") == 2
    assert execute("GEORADIUSBYMEMBER", "g", "Palermo", 1, "m", "STOREDIST", "e") == 1
    assert execute("ZSCORE", "e", "Palermo") == b"0"
    assert execute("GEOSEARCHSTORE", "d", "missing", *around) == 0
    assert execute("EXISTS", "d") == 0
    assert execute("COMMAND", "GETKEYS", "GEORADIUS", "g", 1, 1, 1, "m", "STORE", "e") == [
        b"g", b"e",
    ]  # fmt: skip


def test_members_at_one_place_come_in_redis_order(server: Server) -> None:
    for name in "abcdefgh":
        server.execute("GEOADD", "g", 1, 1, name)
    search = ("GEOSEARCH", "g", "FROMLONLAT", 1, 1, "BYRADIUS", 1, "m")
    assert b"".join(server.execute(*search)) == b"abcdefgh"
    assert b"".join(server.execute(*search, "COUNT", 3)) == b"hbc"
    assert b"".join(server.execute(*search, "COUNT", 3, "ANY")) == b"abc"


CENTER, CIRCLE = "FROMLONLAT 1 1", "BYRADIUS 1 km"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("GEOADD g 200 1 x", "ERR invalid longitude,latitude pair 200.000000,1.000000"),
        ("GEOADD g 1 -86 x", "ERR invalid longitude,latitude pair 1.000000,-86.000000"),
        ("GEOADD g x 1 x", "ERR value is not a valid float"),
        ("GEOADD g 1 1 x 2", SYNTAX),
        ("GEOADD g NX XX 1 1 x", SYNTAX),
        (f"GEOSEARCH g {CENTER} COUNT 1 ASC", ("ERR exactly one of BYRADIUS and BYBOX can be "
         "specified for GEOSEARCH")),
        (f"GEOSEARCHSTORE d g {CIRCLE} COUNT 1 ASC", ("ERR exactly one of FROMMEMBER or FROMLONLAT "
         "can be specified for GEOSEARCHSTORE")),
        (f"GEOSEARCH g FROMMEMBER Palermo {CENTER} {CIRCLE}", SYNTAX),
        (f"GEOSEARCH g {CENTER} {CIRCLE} BYBOX 1 1 m", SYNTAX),
        (f"GEOSEARCH g {CENTER} {CIRCLE} STOREDIST", SYNTAX),
        (f"GEOSEARCH g {CENTER} {CIRCLE} COUNT 0", "ERR COUNT must be > 0"),
        (f"GEOSEARCH g {CENTER} {CIRCLE} COUNT", SYNTAX),
        (f"GEOSEARCH g {CENTER} {CIRCLE} ANY", "ERR the ANY argument requires COUNT argument"),
        (f"GEOSEARCH g {CENTER} BYRADIUS -1 km", "ERR radius cannot be negative"),
        (f"GEOSEARCH g {CENTER} BYRADIUS x km", "ERR need numeric radius"),
        (f"GEOSEARCH g {CENTER} BYRADIUS 1 yd", UNIT),
        (f"GEOSEARCH g {CENTER} BYBOX x 1 km", "ERR need numeric width"),
        (f"GEOSEARCH g {CENTER} BYBOX 1 x km", "ERR need numeric height"),
        (f"GEOSEARCH g {CENTER} BYBOX 1 -1 km", "ERR height or width cannot be negative"),
        (f"GEOSEARCH g FROMMEMBER nobody {CIRCLE}", NO_MEMBER),
        ("GEORADIUSBYMEMBER g nobody 1 km", NO_MEMBER),
        (f"GEOSEARCHSTORE d g {CENTER} {CIRCLE} WITHDIST",
         "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"),
        ("GEORADIUS g 1 1 1 km STORE d WITHCOORD", ("ERR STORE option in GEORADIUS is not "
         "compatible with WITHDIST, WITHHASH and WITHCOORD options")),
    ],
)  # fmt: skip
def test_refusals(sicily: Server, command: str, text: str) -> None:
    assert refused(sicily, *command.split()) == text


@pytest.mark.parametrize(
    "command",
    [
        "GEOADD list 1 1 x", "GEOPOS list x", "GEOHASH list x", "GEODIST list a b",
        f"GEOSEARCH list {CENTER} {CIRCLE}", f"GEOSEARCHSTORE d list {CENTER} {CIRCLE}",
        "GEORADIUS list 1 1 1 km", "GEORADIUSBYMEMBER_RO list x 1 km",
    ],
)  # fmt: skip
def test_other_types_are_refused(server: Server, command: str) -> None:
    server.execute("RPUSH", "list", "a")
    assert refused(server, *command.split()).startswith("WRONGTYPE ")
