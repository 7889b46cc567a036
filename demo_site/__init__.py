"""The demo site: 28,298 real airports behind the cache, on either server.

It is a Django project of its own (settings, one app, pages, commands) that uses cacheapp as any
project would: by settings. Nothing in cacheapp knows about it.
"""
