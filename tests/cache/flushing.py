"""A worker process: `python -m tests.cache.flushing URL [cacheapp_worker's arguments …]`.

Its one queue's handler pushes each payload to the list "written". The payload "hold" keeps the
first process that gets it busy until it is killed, after it has said so at the list "held".
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import django
from django.conf import settings


def main(url: str, arguments: list[str]) -> None:
    """Make the queue and run the command."""
    cache_settings = {"BACKEND": "cacheapp.cache.CacheBackend", "LOCATION": url}
    settings.configure(
        SECRET_KEY="x" * 50,
        CACHES={"default": cache_settings},
        INSTALLED_APPS=["cacheapp"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    )
    django.setup()
    from django.core.management import call_command

    from cacheapp.cache.writebehind import Item, WriteBehind

    def handler(items: list[Item]) -> None:
        client: Any = queue.server.client()
        for item in items:
            if item.payload == "hold" and client.set("hold", 1, nx=True):
                client.lpush("held", 1)
                threading.Event().wait()
            if item.payload == "poison":
                raise LookupError("no such row")
            client.rpush("written", item.id)

    queue = WriteBehind("writes", handler, 10, 0.05, claim_after=0.5, tries=2)
    call_command("cacheapp_worker", *arguments)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
