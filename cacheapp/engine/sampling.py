"""What is said of a database after a look at few of its slots: estimates, and a random key.

Eviction and expiry sample for themselves, on their own terms.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from cacheapp.engine.values import entry_bytes

if TYPE_CHECKING:
    from cacheapp.engine.database import Database

# Slots weighed to estimate the memory of a database that keeps no account.
_MEMORY_SAMPLE_SLOTS = 512
# Slots looked at for the average TTL that INFO prints.
_TTL_SAMPLE_SLOTS = 1000
# Slots tried for a random key before the keys are listed.
_TRIES = 64


def estimated_bytes(database: Database) -> int:
    """The bytes of all keys, scaled from a bounded sample spread over the slots."""
    step = max(1, len(database.keys) // _MEMORY_SAMPLE_SLOTS)
    sizes = [
        entry_bytes(key, database.values[slot])
        for slot in range(0, len(database.keys), step)
        if (key := database.keys[slot]) is not None
    ]
    return sum(sizes) * len(database) // len(sizes) if sizes else 0


def average_ttl_ms(database: Database) -> int:
    """The mean time to live of keys with a deadline, from a bounded sample."""
    now_ms = database.engine.now_ms
    sample = [due - now_ms for due in database.deadlines[:_TTL_SAMPLE_SLOTS] if due > now_ms]
    return sum(sample) // len(sample) if sample else 0


def random_key(database: Database) -> bytes | None:
    """A key that is not due, each about as likely, or None where there is none."""
    while database.slots:
        key = _random_slot_key(database)
        if key in database:
            return key
    return None


def _random_slot_key(database: Database) -> bytes:
    for _ in range(_TRIES):
        key = database.keys[random.randrange(len(database.keys))]
        if key is not None:
            return key
    return random.choice(list(database.slots))
