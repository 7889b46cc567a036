"""`manage.py cacheapp_server`: the engine behind a port, for the processes of one machine.

The same as `python -m cacheapp.server`. It reads no settings: what the server should be stands on
the command line, and what uses it says `redis://127.0.0.1:6380/0` in its own settings.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cacheapp.engine.errors import ConfigError
from cacheapp.server.options import add_arguments, serve


class Command(BaseCommand):
    """Serve until SIGTERM or SIGINT."""

    help = "Serve the cacheapp engine to Redis clients on a TCP port or a unix socket."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the server's flags and option=value."""
        add_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Serve; CommandError where that could not start."""
        try:
            serve(Namespace(**options), self._say)
        except (ConfigError, OSError) as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
