"""The manual's pages of the group `bitmap`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
    block,
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
    "BITCOUNT": page(
        key(),
        optional(
            block(
                "index",
                integer("start"),
                integer("end"),
                optional(one_of("index_unit", token("BYTE"), token("BIT"), since="7.0.0")),
            )
        ),
        history=(("7.0.0", "`BYTE`, `BIT`."),),
    ),
    "BITFIELD": page(
        key(),
        optional(
            repeated(
                one_of(
                    "operation",
                    block("encoding_offset", string("encoding"), integer("offset"), after="GET"),
                    block(
                        "write",
                        optional(
                            one_of(
                                "wrap_sat_fail",
                                token("WRAP"),
                                token("SAT"),
                                token("FAIL"),
                                after="OVERFLOW",
                            )
                        ),
                        one_of(
                            "write_operation",
                            block(
                                "encoding_offset_value",
                                string("encoding"),
                                integer("offset"),
                                integer("value"),
                                after="SET",
                            ),
                            block(
                                "encoding_offset_increment",
                                string("encoding"),
                                integer("offset"),
                                integer("increment"),
                                after="INCRBY",
                            ),
                        ),
                    ),
                )
            )
        ),
    ),
    "BITFIELD_RO": page(
        key(),
        optional(
            repeated(
                block("encoding_offset", string("encoding"), integer("offset"), after="GET"),
                token=True,
            )
        ),
    ),
    "BITOP": page(string("operation"), key("destkey"), repeated(key(spec=1))),
    "BITPOS": page(
        key(),
        integer("bit"),
        optional(
            block(
                "index",
                integer("start"),
                optional(
                    block(
                        "end_index",
                        integer("end"),
                        optional(one_of("index_unit", token("BYTE"), token("BIT"), since="7.0.0")),
                    )
                ),
            )
        ),
        history=(("7.0.0", "`BYTE`, `BIT`."),),
    ),
    "GETBIT": page(key(), integer("offset")),
    "SETBIT": page(key(), integer("offset"), integer("value")),
}
