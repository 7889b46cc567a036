"""The one seam: redis-py clients whose server is Redis behind a socket or the engine beside them.

Above this package everything speaks redis-py; below it lies ``cacheapp.engine``. Most callers
need only the two functions of ``factory``, chosen by a URL. Knows redis-py and the engine, and
no Django.
"""

from cacheapp.clients.factory import get_async_client, get_client
from cacheapp.clients.url import UnknownSchemeError, URLError, URLOptionError, check_url

__all__ = [
    "URLError",
    "URLOptionError",
    "UnknownSchemeError",
    "check_url",
    "get_async_client",
    "get_client",
]
