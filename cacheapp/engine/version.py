"""The version of Redis whose behaviour the engine has, which it tells to clients."""

from __future__ import annotations

REDIS_VERSION = "7.0.15"
