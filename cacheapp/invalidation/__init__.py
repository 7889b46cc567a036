"""Invalidation: how a write reaches the near caches of every other process. docs/nearcache.md."""
