"""The manual's pages of the group `hyperloglog`."""

from __future__ import annotations

from cacheapp.engine.manual.words import Page, key, optional, page, repeated, string

PAGES: dict[str, Page] = {
    "PFADD": page(key(), optional(repeated(string("element")))),
    "PFCOUNT": page(repeated(key())),
    "PFDEBUG": page(string("subcommand"), key(), is_system=True),
    "PFMERGE": page(key("destkey"), repeated(key("sourcekey", spec=1))),
    "PFSELFTEST": page(is_system=True),
}
