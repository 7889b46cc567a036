"""Signals of rate limits.

``request_limited`` is sent when a rule refuses a request, with ``request``, ``rule`` (a Rule) and
``decision``; ``decision.source`` says whether a server was asked, ``rule.dry_run`` whether the
request went on all the same. Receivers run in the request, so they should be quick; in async code
they are sent by ``asend``.
"""

from django.dispatch import Signal

request_limited = Signal()
