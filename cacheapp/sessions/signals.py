"""Signals of sessions.

``session_revoked`` is sent when a session is ended by other than its own logout: with
``session_id`` (its name in the store, as ``sessions_of`` gives it) and ``reason``: "revoked", or
"limit" where a user began more sessions than MAX_PER_USER.
"""

from django.dispatch import Signal

session_revoked = Signal()
