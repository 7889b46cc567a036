"""The version of Redis that the engine tells to clients.

It has the commands of 7.4, and in all that 7.0 knows already it does as 7.0.15 does: that is the
server that the tests compare it with. Clients ask for the number before they use what is newer
(redis-py keeps a client-side cache from 7.4 on).
"""

from __future__ import annotations

REDIS_VERSION = "7.4.7"
