"""Who is counted: a client's address, and the keys of a rule.

The address is the peer's, unless the peer is a proxy that the site trusts; then it is the last one
that no trusted proxy stands for, read from the right of the one header which the site says its
proxies set. Everything to the left of that was written by whoever sent the request, and is not
looked at. What cannot be read is not guessed at: the peer counts.

An IPv6 client has at least a /64 to choose addresses from, so that is what is counted.

Left out on purpose: reading several headers. A proxy sets one; the others are written by clients.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from inspect import isawaitable
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.module_loading import import_string

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# From a request, and whether async code asks, to an identity or an awaitable of one.
Key = Callable[[HttpRequest, bool], Any]

#: Trusts a peer without an address: a proxy that connects to a unix socket.
UNIX: Final = "unix"
#: Clients whose identities a process keeps in mind.
ADDRESSES_KEPT: Final = 4096
#: The longest header that is kept in mind; a client may write what it likes to its left.
HEADER_KEPT_MAX: Final = 512
#: Addresses of one header that are looked at, from the right: more proxies than anybody has.
HOPS_MAX: Final = 32
#: Who is counted where nobody is known: all such requests together.
ANONYMOUS: Final = "anonymous"
PROXY_HEADERS: Final = ("X-Forwarded-For", "Forwarded")


class Proxies:
    """Which peers are believed, about which header, and how much of an IPv6 address counts.

    ``trusted`` holds CIDRs, addresses, and "unix"; ``header`` is one of PROXY_HEADERS. Raises
    ImproperlyConfigured.
    """

    def __init__(
        self,
        trusted: Iterable[str] = (),
        header: str = PROXY_HEADERS[0],
        ipv6_prefix: int = 64,
    ) -> None:
        if isinstance(trusted, str):
            raise ImproperlyConfigured(f"TRUSTED_PROXIES is a list, not {trusted!r}")
        names = list(trusted)
        self.trusts_unix = UNIX in names
        try:
            self.networks: list[Network] = [
                ipaddress.ip_network(name) for name in names if name != UNIX
            ]
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}") from error
        #: Whether anybody is believed.
        self.trusts = bool(self.networks) or self.trusts_unix
        known = {name.lower(): name for name in PROXY_HEADERS}
        if not isinstance(header, str) or header.lower() not in known:
            raise ImproperlyConfigured(
                f"PROXY_HEADER is {header!r}; it is one of {', '.join(PROXY_HEADERS)}"
            )
        if type(ipv6_prefix) is not int or not 1 <= ipv6_prefix <= 128:
            raise ImproperlyConfigured(f"IPV6_PREFIX is {ipv6_prefix!r}; it is from 1 to 128")
        self.header = known[header.lower()]
        self.meta_name = f"HTTP_{self.header.upper().replace('-', '_')}"
        self.ipv6_prefix = ipv6_prefix
        # The same few peers and headers come again and again.
        self._cached = lru_cache(maxsize=ADDRESSES_KEPT)(self._client)

    def client(self, peer: str, forwarded: str) -> str:
        """Return the client's address, normalized, from the peer's and the header's text."""
        if not self.trusts:
            return self._cached(peer, "")
        ask = self._cached if len(forwarded) <= HEADER_KEPT_MAX else self._client
        return ask(peer, forwarded)

    @property
    def kept(self) -> int:
        """How many pairs of a peer and a header are kept in mind."""
        return self._cached.cache_info().currsize

    def of_request(self, request: HttpRequest) -> str:
        """Return the address of a request's client."""
        meta = request.META
        return self.client(meta.get("REMOTE_ADDR") or "", meta.get(self.meta_name, ""))

    def of_scope(self, scope: Mapping[str, Any]) -> str:
        """Return the address of an ASGI connection's client."""
        peer = (scope.get("client") or ("",))[0] or ""
        wanted = self.header.lower().encode()
        values = [value for name, value in scope.get("headers", ()) if name.lower() == wanted]
        return self.client(peer, b",".join(values).decode("latin-1"))

    def _client(self, peer: str, forwarded: str) -> str:
        address = parse_address(peer)
        if not self._is_trusted(address, peer) or not forwarded:
            return self._shown(address, peer)
        parts = forwarded.rsplit(",", HOPS_MAX)[-HOPS_MAX:]
        read = _forwarded_for if self.header == "Forwarded" else str.strip
        nearest = address
        for part in reversed(parts):
            found = parse_address(read(part))
            if found is None:
                return self._shown(address, peer)
            nearest = found
            if not self._is_trusted(found, ""):
                break
        return self._shown(nearest, peer)

    def _is_trusted(self, address: Address | None, peer: str) -> bool:
        if address is None:
            return self.trusts_unix and not peer
        return any(address in network for network in self.networks)

    def _shown(self, address: Address | None, peer: str) -> str:
        if address is None:
            return peer
        if address.version == 6 and self.ipv6_prefix < 128:
            return str(ipaddress.IPv6Network((int(address), self.ipv6_prefix), strict=False))
        return str(address)


def parse_address(text: str) -> Address | None:
    """Return the address that ``text`` spells, with or without port and brackets, or None.

    An IPv4 address inside an IPv6 one is an IPv4 address; a zone is dropped.
    """
    if len(text) > 100:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _forwarded_for(element: str) -> str:
    """The ``for`` parameter of one element of a Forwarded header (RFC 7239), or nothing."""
    for pair in element.split(";"):
        name, _, value = pair.strip().partition("=")
        if name.strip().lower() == "for":
            return value.strip().strip('"')
    return ""


# Keys


def key_function(written: Any, proxies: Proxies) -> Key:
    """Return the function from a request to an identity that a rule's ``key`` names.

    That is "ip", "user", "user_or_ip", "session", "header:<name>", "get:<name>" or "post:<name>"
    (fields of the query or the form), a callable of the request or its dotted path, or a list of
    these, counted together. In async code the function may return an awaitable, and so may a
    callable. Raises ImproperlyConfigured.
    """
    if callable(written):
        return lambda request, _is_async: _named("key", written(request))
    if isinstance(written, (list, tuple)) and written:
        parts = [key_function(part, proxies) for part in written]
        return lambda request, is_async: _joined([part(request, is_async) for part in parts])
    if isinstance(written, str):
        if written in _KEYS:
            return _KEYS[written](proxies)
        kind, _, name = written.partition(":")
        if kind == "header" and name:
            meta_name = f"HTTP_{name.upper().replace('-', '_')}"
            return lambda request, _is_async: f"header:{request.META.get(meta_name, '')}"
        if kind == "get" and name:
            return lambda request, _is_async: f"get:{request.GET.get(name, '')}"
        if kind == "post" and name:
            return lambda request, _is_async: f"post:{request.POST.get(name, '')}"
        if "." in written:
            try:
                return key_function(import_string(written), proxies)
            except ImportError as error:
                raise ImproperlyConfigured(f"key {written!r}: {error}") from error
    raise ImproperlyConfigured(
        f"key is {written!r}; it is 'ip', 'user', 'user_or_ip', 'session', 'header:<name>', "
        "'get:<name>', 'post:<name>', a callable, its dotted path, or a list of these"
    )


def _ip(proxies: Proxies) -> Key:
    if proxies.trusts:
        return lambda request, _is_async: f"ip:{proxies.of_request(request)}"
    known: dict[str | None, str] = {}

    def ip(request: HttpRequest, _is_async: bool) -> str:
        peer = request.META.get("REMOTE_ADDR")
        found = known.get(peer)
        if found is None:
            if len(known) >= ADDRESSES_KEPT:
                known.clear()
            found = known[peer] = f"ip:{proxies.of_request(request)}"
        return found

    return ip


def _user(_proxies: Proxies) -> Key:
    return lambda request, is_async: _signed_in(request, is_async, _anonymous)


def _anonymous(_request: HttpRequest) -> str:
    return f"user:{ANONYMOUS}"


def _user_or_ip(proxies: Proxies) -> Key:
    def by_address(request: HttpRequest) -> str:
        return f"ip:{proxies.of_request(request)}"

    return lambda request, is_async: _signed_in(request, is_async, by_address)


def _session(proxies: Proxies) -> Key:
    def session(request: HttpRequest, _is_async: bool) -> str:
        key = getattr(getattr(request, "session", None), "session_key", None)
        return f"session:{key}" if key else f"ip:{proxies.of_request(request)}"

    return session


_KEYS: Final[Mapping[str, Callable[[Proxies], Key]]] = {
    "ip": _ip,
    "user": _user,
    "user_or_ip": _user_or_ip,
    "session": _session,
}


def _signed_in(
    request: HttpRequest, is_async: bool, otherwise: Callable[[HttpRequest], str]
) -> Any:
    """The user's identity; in async code an awaitable, since looking a user up may wait there."""
    # Without AuthenticationMiddleware a request has neither, and nobody is signed in.
    if is_async and (look_up := getattr(request, "auser", None)) is not None:
        return _asigned_in(request, look_up, otherwise)
    return _of_user(request, getattr(request, "user", None), otherwise)


async def _asigned_in(
    request: HttpRequest,
    look_up: Callable[[], Awaitable[Any]],
    otherwise: Callable[[HttpRequest], str],
) -> str:
    return _of_user(request, await look_up(), otherwise)


def _of_user(request: HttpRequest, user: Any, otherwise: Callable[[HttpRequest], str]) -> str:
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    return otherwise(request)


def _named(name: str, found: Any) -> Any:
    if isawaitable(found):
        return _anamed(name, found)
    return f"{name}:{found}"


async def _anamed(name: str, found: Awaitable[Any]) -> str:
    return f"{name}:{await found}"


def _joined(found: list[Any]) -> Any:
    if any(isawaitable(part) for part in found):
        return _ajoined(found)
    # Lengths keep two lists of parts from being joined to one text.
    return "|".join(f"{len(part)}:{part}" for part in found)


async def _ajoined(found: list[Any]) -> str:
    parts = [await part if isawaitable(part) else part for part in found]
    return str(_joined(parts))
