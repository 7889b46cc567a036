"""The names of the cached values, and how long each lives. One place, since two modules must agree.

Lifetimes are in seconds. They bound what an invalidation can miss: a server that was away during an
edit shows the old value at most that long.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from urllib.parse import quote

COUNTRIES = "countries"
AIRPORT_TTL_S = 600
NEAREST_TTL_S = 3600
COUNTRY_TTL_S = 3600
SEARCH_TTL_S = 300
READABLE_MAX = 100


def airport(icao: str) -> str:
    """The row of one airport."""
    return f"airport:{icao}"


def nearest(icao: str) -> str:
    """The list of the airports nearest to one."""
    return f"nearest:{icao}"


def country(code: str) -> str:
    """The statistics of one country."""
    return f"country:{code}"


def search(words: Sequence[str]) -> str:
    """The result of one search; a long query is named by its digest, as keys should stay short."""
    text = quote("+".join(quote(word, safe="") for word in words), safe="%+")
    if len(text) > READABLE_MAX:
        text = "~" + blake2b(text.encode(), digest_size=16).hexdigest()
    return f"search:{text}"
