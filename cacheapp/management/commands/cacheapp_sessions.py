"""`manage.py cacheapp_sessions`: where a user is logged in, and ending that.

    cacheapp_sessions list --user PK
    cacheapp_sessions revoke --user PK [--id ID]

Without an id all of the user's sessions end. Left out on purpose: sessions of nobody, which are
known by their cookies alone.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from cacheapp.sessions import revoke, revoke_all, sessions_of


class Command(BaseCommand):
    """Lists and ends sessions."""

    help = "Show where a user is logged in, and end sessions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The two actions."""
        actions = parser.add_subparsers(dest="action", required=True)
        for name, says in (("list", "a user's sessions"), ("revoke", "end one of them, or all")):
            action = actions.add_parser(name, help=says)
            action.add_argument("--user", required=True, help="the user's primary key")
            if name == "revoke":
                action.add_argument("--id", help="as `list` prints it; without it, all")

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        """Do it; CommandError for wrong settings and a server that does not answer."""
        try:
            getattr(self, f"_{action}")(options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except RedisError as error:
            raise CommandError(f"The server does not answer: {error}") from error

    def _list(self, options: dict[str, Any]) -> None:
        found = sessions_of(options["user"])
        for info in found:
            self.stdout.write(
                f"{info.id}  began {info.began:%Y-%m-%d %H:%M}, seen {info.seen:%Y-%m-%d %H:%M} UTC"
                f"  {info.address or '-'}  {info.user_agent or '-'}"
            )
        if not found:
            self.stdout.write(f"User {options['user']} has no session.")

    def _revoke(self, options: dict[str, Any]) -> None:
        if options["id"] is None:
            self.stdout.write(f"Ended: {revoke_all(options['user'])}")
        elif revoke(options["user"], options["id"]):
            self.stdout.write("Ended: 1")
        else:
            raise CommandError(f"User {options['user']} has no session {options['id']!r}.")
