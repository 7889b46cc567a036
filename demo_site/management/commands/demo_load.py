"""manage.py demo_load: make the tables and fill them with the airports."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from demo_site import invalidation
from demo_site.accounts import PASSWORD, USERS, load_users
from demo_site.load import load_airports
from demo_site.server import UNUSABLE


class Command(BaseCommand):
    """Idempotent: a second run changes nothing, unless --reset undoes the edits."""

    help = "Fill the demo's database with the airports of the airportsdata package."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--reset puts the package's values back."""
        parser.add_argument("--reset", action="store_true", help="undo all edits")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, load, and after a reset delete the cached pages."""
        call_command("migrate", verbosity=0, interactive=False)
        count = load_airports(reset=options["reset"])
        if options["reset"]:
            try:
                invalidation.everything_changed()
            except UNUSABLE as error:
                self.stderr.write(f"The cached pages could not be deleted: {error}")
        load_users()
        self.stdout.write(f"{count:,} airports in the database.")
        self.stdout.write(f"Users: {', '.join(USERS)}, password {PASSWORD}")
