"""A Django app in front of Redis: a real server, or the engine that it ships, chosen by a URL.

Import from the module that has what you need (`cacheapp.cache`, `cacheapp.clients`). Nothing is
re-exported here, so that `import cacheapp` costs nothing and never touches Django's settings.
"""

__version__ = "0.1.0.dev0"
