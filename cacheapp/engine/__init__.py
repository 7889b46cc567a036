"""The store itself: Redis's commands over an in-process keyspace.

Nothing here knows Django, redis-py or sockets. `engine.Engine` is the way in; `registry.COMMANDS`
is the table of what it can do. Nothing is re-exported, so that every import names the file that
holds the idea.
"""
