"""Random commands on the engine and on a real redis-server, compared reply by reply."""
