"""Near caches of several processes on a real redis-server while things go wrong: `make torture`."""
