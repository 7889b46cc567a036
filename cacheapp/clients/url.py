"""Server URLs: which schemes there are, and what ``memory://name/db?option=value`` says.

A memory URL names an engine in this process. Its options are of two kinds, told apart by name:
the engine's own parameters, spelled as in redis.conf (``maxmemory=256mb``), and the client's,
spelled as redis-py's keyword arguments (``decode_responses=yes``). Everything is checked before
an engine exists, so that a typing error in a setting is reported by the option's name.

redis://, rediss:// and unix:// URLs are redis-py's, parsed by redis-py; what it would silently
ignore, or fail on later, is an error here.

No error quotes a part of a URL in which a password may stand: one with a bare ``/ ? #`` or ``,`` in
it ends up in the host, the path or the options, as far as any parser can tell.
"""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.connection import parse_url

from cacheapp.clients.arguments import what_is_unknown
from cacheapp.engine.config import ENGINE_ALIASES, ENGINE_PARAMETERS, parse_options
from cacheapp.engine.errors import ConfigError

__all__ = [
    "CLIENT_OPTIONS",
    "DATABASES_DEFAULT",
    "SCHEMES",
    "EngineURL",
    "URLError",
    "URLOptionError",
    "UnknownSchemeError",
    "check_url",
    "is_engine_url",
    "parse_engine_url",
]

ENGINE_SCHEME = "memory"
SCHEMES = (ENGINE_SCHEME, "redis", "rediss", "unix")
DEFAULT_NAME = "default"
DATABASES_DEFAULT = int(ENGINE_PARAMETERS["databases"].default)


class URLError(ValueError):
    """A server URL that cannot be used; the text says what to write instead."""


class UnknownSchemeError(URLError):
    """A URL whose scheme is none of ``SCHEMES``."""


class URLOptionError(URLError):
    """A part of a URL, after the scheme, that is unknown or has a value that cannot be."""


def _yes_or_no(text: str) -> bool:
    if text.lower() in ("yes", "true", "1", "on"):
        return True
    if text.lower() in ("no", "false", "0", "off"):
        return False
    raise ValueError("must be 'yes' or 'no'")


def _protocol(text: str) -> int:
    if text not in ("2", "3"):
        raise ValueError("must be 2 or 3")
    return int(text)


def _seconds(text: str) -> float | None:
    if text.lower() == "none":
        return None
    seconds = float(text)
    if not seconds > 0:
        raise ValueError("must be a positive number of seconds, or 'none'")
    return seconds


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError("must not be negative")
    return count


def _encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except LookupError as error:
        raise ValueError(str(error)) from None


def _error_handler(text: str) -> str:
    try:
        codecs.lookup_error(text)
    except LookupError as error:
        raise ValueError(str(error)) from None
    return text


#: What a memory URL may say to the client, and how the text becomes redis-py's value.
CLIENT_OPTIONS: dict[str, Callable[[str], Any]] = {
    "client_name": str,
    "decode_responses": _yes_or_no,
    "encoding": _encoding,
    "encoding_errors": _error_handler,
    "health_check_interval": _count,
    "legacy_responses": _yes_or_no,
    "max_connections": _count,
    "password": str,
    "protocol": _protocol,
    "retry_on_timeout": _yes_or_no,
    "socket_timeout": _seconds,
    "username": str,
}


@dataclass(frozen=True)
class EngineURL:
    """What a memory URL says: the engine's name, the database, and both kinds of options.

    ``db`` is None where the URL does not say; clients then use 0, or what they are told.
    """

    name: str = DEFAULT_NAME
    db: int | None = None
    engine_options: dict[str, str] = field(default_factory=dict)
    client_options: dict[str, Any] = field(default_factory=dict)


def scheme_of(url: str) -> str:
    """Return the URL's scheme. Raises UnknownSchemeError when it is none of ``SCHEMES``."""
    scheme, separator, _ = str(url).partition("://")
    if not separator or scheme not in SCHEMES:
        allowed = ", ".join(f"{name}://" for name in SCHEMES)
        near = difflib.get_close_matches(scheme.lower(), SCHEMES, n=1)
        hint = f"; did you mean {near[0]}://?" if near else ""
        raise UnknownSchemeError(
            f"{_shown(str(url))!r} has no known scheme: a server URL begins with one of "
            f"{allowed}{hint}"
        )
    return scheme


def _shown(url: str) -> str:
    """``url`` up to its options and without its user and password, to be printed in an error."""
    base, _, options = url.partition("?")
    scheme, separator, rest = base.rpartition("://")
    _, at, place = rest.rpartition("@")
    port = place.partition("/")[0].partition(":")[2]
    if "@" in options or not (at or place.startswith("[") or port.isdigit() or not port):
        return f"{scheme}{separator}..."  # perhaps a part of a password with a bare ? or , in it
    return scheme + separator + place


def _is_ambiguous(url: str) -> bool:
    """Say whether host, path and options cannot be told apart, or the host cannot be read."""
    try:
        parts = urlsplit(url)
        port = parts.port if parts.scheme in ("redis", "rediss") else None
    except ValueError:
        return True
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    path = "" if parts.scheme == "unix" else parts.path
    if parts.scheme == ENGINE_SCHEME and "@" in parts.query and ":" in parts.netloc:
        return "@" not in parts.netloc  # a name has no colon, so what stands there is a user
    return port == 0 or any("@" in part for part in (path, parts.fragment, *names))


def _check_parts(url: str) -> None:
    if _is_ambiguous(url):
        raise URLOptionError(
            f"{scheme_of(url)}://...: its host or port cannot be read. Write the characters "
            "/ ? # [ ] @ : and , in a user name or password percent-encoded, as %2F"
        )


def is_engine_url(url: str) -> bool:
    """Say whether the shipped engine serves this URL. Raises UnknownSchemeError."""
    return scheme_of(url) == ENGINE_SCHEME


def parse_engine_url(url: str) -> EngineURL:
    """Return what a memory:// URL says.

    Raises UnknownSchemeError for another scheme and URLOptionError, which names the option and a
    near one, for anything that neither the engine nor the client takes.
    """
    if scheme_of(url) != ENGINE_SCHEME:
        raise UnknownSchemeError(f"{_shown(url)!r} is not a {ENGINE_SCHEME}:// URL")
    _check_parts(url)
    parts = urlsplit(url)
    if parts.fragment:
        raise URLOptionError(f"{_shown(url)!r}: write # as %23 inside a memory URL")
    credentials, _, name = parts.netloc.rpartition("@")
    engine_options: dict[str, str] = {}
    client_options: dict[str, Any] = {}
    db = _database(url, unquote(parts.path).strip("/"))
    for option, text in parse_qsl(parts.query, keep_blank_values=True):
        if option == "db":
            db = _database(url, text)
        elif option in engine_options or option in client_options:
            raise URLOptionError(f"{_shown(url)!r}: option {option!r} is given twice")
        elif option in CLIENT_OPTIONS:
            client_options[option] = _client_option(url, option, text)
        else:
            engine_options[option] = _engine_option(url, option, text)
    username, _, password = credentials.partition(":")
    if username:
        client_options["username"] = unquote(username)
    if password:
        client_options["password"] = unquote(password)
    return EngineURL(unquote(name) or DEFAULT_NAME, db, engine_options, client_options)


def _database(url: str, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise URLOptionError(
            f"{_shown(url)!r}: the database must be a number, as in {scheme_of(url)}://name/0, "
            f"not {text!r}"
        )
    return int(text)


def _client_option(url: str, option: str, text: str) -> Any:
    try:
        return CLIENT_OPTIONS[option](text)
    except ValueError as error:
        raise URLOptionError(
            f"{_shown(url)!r}: option {option!r} cannot be {text!r}: {error}"
        ) from None


def _engine_option(url: str, option: str, text: str) -> str:
    lowered = option.lower()
    if lowered not in ENGINE_PARAMETERS and lowered not in ENGINE_ALIASES:
        near = difflib.get_close_matches(
            option, [*ENGINE_PARAMETERS, *ENGINE_ALIASES, *CLIENT_OPTIONS], n=1
        )
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise URLOptionError(f"{_shown(url)!r}: unknown option {option!r}{hint}")
    try:
        parse_options({option: text})
    except ConfigError as error:
        raise URLOptionError(f"{_shown(url)!r}: {error}") from None
    return text


@lru_cache(maxsize=64)
def check_url(url: str) -> None:
    """Raise a URLError if ``url`` cannot be used; nothing is opened and no engine is made."""
    if scheme_of(url) == ENGINE_SCHEME:
        parse_engine_url(url)
        return
    _check_parts(url)
    parts = urlsplit(url)
    if parts.scheme != "unix":
        _database(url, unquote(parts.path).strip("/"))
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    unknown = what_is_unknown(names)
    if unknown:
        raise URLOptionError(f"{_shown(url)!r}: {unknown}")
    try:
        parse_url(url)
    except ValueError as error:
        raise URLOptionError(f"{_shown(url)!r}: {str(error).rstrip('.')}") from None
