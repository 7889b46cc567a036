"""The manual's pages of the group `geo`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
    block,
    double,
    integer,
    key,
    one_of,
    optional,
    page,
    repeated,
    string,
    token,
)

PAGES: dict[str, Page] = {
    "GEOADD": page(
        key(),
        optional(one_of("condition", token("NX"), token("XX"), since="6.2.0")),
        optional(token("CH", "change", since="6.2.0")),
        repeated(
            block(
                "longitude_latitude_member",
                double("longitude"),
                double("latitude"),
                string("member"),
            )
        ),
        history=(("6.2.0", "`CH`, `NX`, `XX`."),),
    ),
    "GEODIST": page(
        key(),
        string("member1"),
        string("member2"),
        optional(one_of("unit", token("M"), token("KM"), token("FT"), token("MI"))),
    ),
    "GEOHASH": page(key(), repeated(string("member"))),
    "GEOPOS": page(key(), repeated(string("member"))),
    "GEORADIUS": page(
        key(),
        double("longitude"),
        double("latitude"),
        double("radius"),
        one_of("unit", token("M"), token("KM"), token("FT"), token("MI")),
        optional(token("WITHCOORD")),
        optional(token("WITHDIST")),
        optional(token("WITHHASH")),
        optional(
            block("count", integer("count", after="COUNT"), optional(token("ANY", since="6.2.0")))
        ),
        optional(one_of("order", token("ASC"), token("DESC"))),
        optional(key(spec=1, after="STORE")),
        optional(key(spec=2, after="STOREDIST")),
        history=(
            ("6.2.0", "`ANY`, `COUNT`."),
            ("7.0.0", "Units in upper case."),
        ),
        deprecated=("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
    ),
    "GEORADIUSBYMEMBER": page(
        key(),
        string("member"),
        double("radius"),
        one_of("unit", token("M"), token("KM"), token("FT"), token("MI")),
        optional(token("WITHCOORD")),
        optional(token("WITHDIST")),
        optional(token("WITHHASH")),
        optional(block("count", integer("count", after="COUNT"), optional(token("ANY")))),
        optional(one_of("order", token("ASC"), token("DESC"))),
        optional(key(spec=1, after="STORE")),
        optional(key(spec=2, after="STOREDIST")),
        history=(("7.0.0", "Units in upper case."),),
        deprecated=(
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        ),
    ),
    "GEORADIUSBYMEMBER_RO": page(
        key(),
        string("member"),
        double("radius"),
        one_of("unit", token("M"), token("KM"), token("FT"), token("MI")),
        optional(token("WITHCOORD")),
        optional(token("WITHDIST")),
        optional(token("WITHHASH")),
        optional(block("count", integer("count", after="COUNT"), optional(token("ANY")))),
        optional(one_of("order", token("ASC"), token("DESC"))),
        deprecated=("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    ),
    "GEORADIUS_RO": page(
        key(),
        double("longitude"),
        double("latitude"),
        double("radius"),
        one_of("unit", token("M"), token("KM"), token("FT"), token("MI")),
        optional(token("WITHCOORD")),
        optional(token("WITHDIST")),
        optional(token("WITHHASH")),
        optional(
            block("count", integer("count", after="COUNT"), optional(token("ANY", since="6.2.0")))
        ),
        optional(one_of("order", token("ASC"), token("DESC"))),
        history=(("6.2.0", "`ANY`, `COUNT`."),),
        deprecated=("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
    ),
    "GEOSEARCH": page(
        key(),
        one_of(
            "from",
            string("member", after="FROMMEMBER"),
            block(
                "longitude_latitude", double("longitude"), double("latitude"), after="FROMLONLAT"
            ),
        ),
        one_of(
            "by",
            block(
                "circle",
                double("radius", after="BYRADIUS"),
                one_of("unit", token("M"), token("KM"), token("FT"), token("MI")),
            ),
            block(
                "box",
                double("width", after="BYBOX"),
                double("height"),
                one_of("unit", token("M"), token("KM"), token("FT"), token("MI")),
            ),
        ),
        optional(one_of("order", token("ASC"), token("DESC"))),
        optional(block("count", integer("count", after="COUNT"), optional(token("ANY")))),
        optional(token("WITHCOORD")),
        optional(token("WITHDIST")),
        optional(token("WITHHASH")),
        history=(("7.0.0", "Units in upper case."),),
    ),
    "GEOSEARCHSTORE": page(
        key("destination"),
        key("source", spec=1),
        one_of(
            "from",
            string("member", after="FROMMEMBER"),
            block(
                "longitude_latitude", double("longitude"), double("latitude"), after="FROMLONLAT"
            ),
        ),
        one_of(
            "by",
            block(
                "circle",
                double("radius", after="BYRADIUS"),
                one_of("unit", token("M"), token("KM"), token("FT"), token("MI")),
            ),
            block(
                "box",
                double("width", after="BYBOX"),
                double("height"),
                one_of("unit", token("M"), token("KM"), token("FT"), token("MI")),
            ),
        ),
        optional(one_of("order", token("ASC"), token("DESC"))),
        optional(block("count", integer("count", after="COUNT"), optional(token("ANY")))),
        optional(token("STOREDIST")),
        history=(("7.0.0", "Units in upper case."),),
    ),
}
