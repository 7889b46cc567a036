"""manage.py demo: set everything up and serve the site until Ctrl-C.

Django's development server classes without its reloader: one process, which the embedded engine
needs, and an end that is an end. Left out on purpose: anything but loopback; this is a demo, not a
deployment.
"""

from __future__ import annotations

import errno
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from demo_site.accounts import PASSWORD, USERS, load_users
from demo_site.load import load_airports
from demo_site.models import Airport
from demo_site.server import location, safe_url
from demo_site.wsgi import application

HOST = "127.0.0.1"


class Command(BaseCommand):
    """Serves on 127.0.0.1; Ctrl-C and SIGTERM end it with exit code 0."""

    help = "Set the demo site up and serve it at a printed address until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--port, 0 for any free one."""
        parser.add_argument(
            "--port", type=int, default=8000, help="default 8000; if taken, a free one is chosen"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, load if empty, bind, say where, serve."""
        # SIGTERM ends the demo as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._set_up()
            with self._bound(options["port"]) as server:
                server.set_app(application)
                port = server.server_address[1]
                if options["port"] not in {0, port}:
                    self.stdout.write(f"Port {options['port']} is taken.")
                self.stdout.write(f"Cache: {safe_url(location())}")
                self.stdout.write(f"Log in as {' or '.join(USERS)}, password {PASSWORD}")
                self.stdout.write(f"Demo:  http://{HOST}:{port}/   (Ctrl-C ends it)")
                self.stdout.flush()
                server.serve_forever()
        except KeyboardInterrupt:
            self.stdout.write("\nThe demo has ended.")

    def _set_up(self) -> None:
        """The tables and, the first time, their content."""
        call_command("migrate", verbosity=0, interactive=False)
        if not Airport.objects.exists():
            self.stdout.write("Loading the airports …")
            self.stdout.flush()
            load_airports()
        load_users()

    def _bound(self, port: int) -> ThreadedWSGIServer:
        """A server on the wanted port, or on a free one if that is taken."""
        if not 0 <= port <= 65535:
            raise CommandError(f"--port must be between 0 and 65535, not {port}.")
        try:
            return ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CommandError(f"Port {port} cannot be used: {error.strerror}.") from error
            return ThreadedWSGIServer((HOST, 0), WSGIRequestHandler)
