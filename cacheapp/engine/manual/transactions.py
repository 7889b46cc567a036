"""The manual's pages of the group `transactions`."""

from __future__ import annotations

from cacheapp.engine.manual.words import Page, key, page, repeated

PAGES: dict[str, Page] = {
    "WATCH": page(repeated(key())),
}
