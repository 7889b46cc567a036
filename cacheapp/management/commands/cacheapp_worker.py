"""`manage.py cacheapp_worker`: flush the write-behind queues, and look at what was set aside.

    cacheapp_worker [QUEUE …]      work until SIGTERM or Ctrl-C; all queues unless some are named
    cacheapp_worker --once         work until nothing is left, then end
    cacheapp_worker --list         the queues, and what waits in each
    cacheapp_worker --dead QUEUE   what was set aside, and why
    cacheapp_worker --revive QUEUE | --discard QUEUE   [--entry ENTRY …]

Queues are found where apps make them: in their models, or in a module ``writebehind``. Several
workers share a queue. On SIGTERM the batch in hand is finished, and nothing else is begun.
"""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import autodiscover_modules
from redis.exceptions import RedisError

from cacheapp.cache.writebehind import WriteBehind, queues, shown
from cacheapp.cache.writeworker import Worker


class Command(BaseCommand):
    """Works, lists, revives and discards."""

    help = "Hand what WriteBehind queues hold to their handlers, in batches."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The queues, and what to do instead of working."""
        parser.add_argument("names", nargs="*", metavar="QUEUE", help="all unless named")
        parser.add_argument("--entry", action="append", help="only this one; may be repeated")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--once", action="store_true", help="end when nothing is left")
        what.add_argument("--list", action="store_true", help="how much waits, and is set aside")
        what.add_argument("--dead", metavar="QUEUE", help="what was set aside, and why")
        what.add_argument("--revive", metavar="QUEUE", help="put back what was set aside")
        what.add_argument("--discard", metavar="QUEUE", help="delete what was set aside")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it; CommandError for unknown queues and a server that does not answer."""
        autodiscover_modules("writebehind")
        try:
            self._handle(options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except RedisError as error:
            raise CommandError(f"The server does not answer: {error}") from error

    def _handle(self, options: dict[str, Any]) -> None:
        entries = options["entry"]
        if options["list"]:
            for queue in self._named(options["names"]):
                counts = queue.counts()
                self.stdout.write(
                    f"{queue.name}: {counts['waiting']} waiting, {counts['dead']} set aside"
                )
        elif options["dead"]:
            for item in self._named([options["dead"]])[0].dead(1000):
                self.stdout.write(
                    f"{item.entry} id={item.id} tries={item.tries} {item.error} "
                    f"{shown(item.payload)}"
                )
        elif options["revive"]:
            count = self._named([options["revive"]])[0].revive(entries)
            self.stdout.write(f"{count} put back")
        elif options["discard"]:
            count = self._named([options["discard"]])[0].discard(entries)
            self.stdout.write(f"{count} discarded")
        else:
            self._work(self._named(options["names"]), once=options["once"])

    def _named(self, names: list[str]) -> list[WriteBehind]:
        unknown = [name for name in names if name not in queues]
        if unknown:
            known = ", ".join(sorted(queues)) or "none"
            raise CommandError(
                f"There is no queue {unknown[0]!r}; there is {known}. A WriteBehind is found in an "
                "app's models or in its module writebehind.py"
            )
        if not queues:
            raise CommandError(
                "No app makes a WriteBehind: make one in an app's models or its writebehind.py"
            )
        return [queues[name] for name in names or sorted(queues)]

    def _work(self, named: list[WriteBehind], *, once: bool) -> None:
        for queue in named:
            if queue.server.in_process:
                raise CommandError(
                    f"Queue {queue.name!r} is on an engine inside each process (CACHES"
                    f"[{queue.alias!r}]), where this process sees nothing of the others: use a "
                    "redis:// URL, of `manage.py cacheapp_server` or of a real Redis"
                )
        stop = threading.Event()
        workers = [Worker(queue, stop) for queue in named]
        if once:
            for worker in workers:
                while worker.step(waits=False):
                    pass
        else:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            threads = [threading.Thread(target=worker.run) for worker in workers]
            for thread in threads:
                thread.start()
            self.stdout.write(f"working on {', '.join(queue.name for queue in named)}")
            self.stdout.flush()
            while not stop.wait(1.0):
                if not all(thread.is_alive() for thread in threads):
                    stop.set()
            for thread in threads:
                thread.join()
        for worker in workers:
            self.stdout.write(
                f"{worker.queue.name}: {worker.handled} handled, {worker.set_aside} set aside"
            )
