"""manage.py demo: set everything up and serve the site until Ctrl-C.

uvicorn in this process, which the embedded engine needs; with --workers in several, on a server
that they share. Left out on purpose: anything but loopback; this is a demo, not a deployment.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from uvicorn.supervisors import Multiprocess

from cacheapp.clients import URLError, check_url
from demo_site.accounts import PASSWORD, USERS, load_users
from demo_site.load import load_airports
from demo_site.models import Airport
from demo_site.server import location, safe_url

HOST = "127.0.0.1"
APPLICATION = "demo_site.asgi:application"
WORKERS_MAX = 64
BACKLOG = 2048
#: What is open when the demo ends (live pages, always) has this long to finish.
GRACE_S = 2
#: Seconds without a sign of life before a worker is replaced. A busy machine is not a dead worker.
WORKER_SILENCE_S = 60
MESSAGE_SIZE_MAX = 65536


class Command(BaseCommand):
    """Serves on 127.0.0.1; Ctrl-C and SIGTERM end it with exit code 0."""

    help = "Set the demo site up and serve it at a printed address until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--port, 0 for any free one; --workers; --redis."""
        parser.add_argument(
            "--port", type=int, default=8000, help="default 8000; if taken, a free one is chosen"
        )
        parser.add_argument(
            "--workers", type=int, default=1, help="processes, default 1; more need a Redis"
        )
        parser.add_argument("--redis", metavar="URL", help="the server, instead of CACHE_URL")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, load if empty, bind, say where, serve."""
        _begin_anew_with(options["redis"])
        workers = options["workers"]
        if not 1 <= workers <= WORKERS_MAX:
            raise CommandError(f"--workers must be between 1 and {WORKERS_MAX}, not {workers}.")
        if workers > 1 and location().startswith("memory:"):
            raise CommandError(
                "Several workers need a server that they share: give --redis "
                "redis://127.0.0.1:6379/0, or set CACHE_URL."
            )
        # SIGTERM ends the demo as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._set_up()
            with self._bound(options["port"]) as listener:
                self._say_where(listener, options["port"], workers)
                _serve(listener, workers)
        except KeyboardInterrupt:
            pass
        self.stdout.write("\nThe demo has ended.")

    def _set_up(self) -> None:
        """The tables and, the first time, their content."""
        call_command("migrate", verbosity=0, interactive=False)
        if not Airport.objects.exists():
            self.stdout.write("Loading the airports …")
            self.stdout.flush()
            load_airports()
        load_users()

    def _say_where(self, listener: socket.socket, wanted: int, workers: int) -> None:
        port = listener.getsockname()[1]
        if wanted not in {0, port}:
            self.stdout.write(f"Port {wanted} is taken.")
        count = "" if workers == 1 else f", {workers} workers"
        self.stdout.write(f"Cache: {safe_url(location())}{count}")
        self.stdout.write(f"Log in as {' or '.join(USERS)}, password {PASSWORD}")
        self.stdout.write(f"Demo:  http://{HOST}:{port}/   (Ctrl-C ends it)")
        self.stdout.flush()

    def _bound(self, port: int) -> socket.socket:
        """A listener on the wanted port, or on a free one if that is taken."""
        if not 0 <= port <= 65535:
            raise CommandError(f"--port must be between 0 and 65535, not {port}.")
        try:
            return socket.create_server((HOST, port), backlog=BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CommandError(f"Port {port} cannot be used: {error.strerror}.") from error
            return socket.create_server((HOST, 0), backlog=BACKLOG)


def _begin_anew_with(url: str | None) -> None:
    """Have the settings read `url`, in this process and in its workers, by starting again."""
    if url is None or url == os.environ.get("CACHE_URL"):
        return
    try:
        check_url(url)
    except URLError as error:
        raise CommandError(f"--redis: {error}") from error
    os.environ["CACHE_URL"] = url
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - ourselves


def _serve(listener: socket.socket, workers: int) -> None:
    """Serve until a signal; raises KeyboardInterrupt, or returns where workers were ended."""
    config = uvicorn.Config(
        APPLICATION,
        workers=workers,
        log_level="warning",
        access_log=False,
        lifespan="off",
        loop="asyncio",
        ws="wsproto",
        ws_max_size=MESSAGE_SIZE_MAX,
        timeout_graceful_shutdown=GRACE_S,
        timeout_worker_healthcheck=WORKER_SILENCE_S,
    )
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
    else:
        Multiprocess(config, sockets=[listener]).run()
