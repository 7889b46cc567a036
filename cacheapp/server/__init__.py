"""The TCP front: RESP over TCP or a unix socket, a second way to the same engine.

`protocol` turns bytes into commands, `writer` turns replies into bytes, `tcp` holds the
connections, `options` reads the command line and refuses what would be unsafe. Knows the engine
and the standard library; no Django, no redis-py.
"""
