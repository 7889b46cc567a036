"""A process whose threads all miss one key at once: `python -m tests.cache.stampede URL THREADS`.

Processes started with the same URL meet on the server: each says that it is ready, and goes when
the list "go" has an element for it. Each computation counts itself at "computed". The last line
printed is how many threads got the value.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
from django.conf import settings

PATIENCE_S = 120


def main(url: str, threads: int, *, native: bool = False) -> None:
    """Miss the key together with the other processes, in threads or in tasks."""
    cache_settings = {
        "BACKEND": "cacheapp.cache.CacheBackend",
        "LOCATION": url,
        "OPTIONS": {"SOCKET_TIMEOUT": 2 * PATIENCE_S},
    }
    settings.configure(SECRET_KEY="x" * 50, CACHES={"default": cache_settings})
    django.setup()
    from django.core.cache import cache

    client: Any = cache.client.get_client()  # type: ignore[attr-defined]

    def compute() -> list[int]:
        client.incr("computed")
        threading.Event().wait(0.1)  # long enough for everybody to come and find it missing
        return [os.getpid()]

    async def acompute() -> list[int]:
        client.incr("computed")
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.1)
        return [os.getpid()]

    async def tasks() -> list[Any]:
        calls = [cache.aget_or_set("stampede", acompute) for _ in range(threads)]
        return await asyncio.gather(*calls)

    client.ping()
    client.lpush("ready", 1)
    client.blpop("go", timeout=PATIENCE_S)
    if native:
        values = asyncio.run(tasks())
    else:
        with ThreadPoolExecutor(threads) as pool:
            values = list(pool.map(lambda _: cache.get_or_set("stampede", compute), range(threads)))
    print(len(values), len({value[0] for value in values}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), native="native" in sys.argv[3:])
