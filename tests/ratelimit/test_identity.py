"""Client addresses and keys: what is believed, what is not, and what is counted."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.ratelimit.identity import HOPS_MAX, Proxies, key_function, parse_address

PROXY, CLIENT = "10.0.0.1", "198.51.100.7"
TRUSTING = Proxies(["10.0.0.0/8", "2001:db8:1::/48"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_is_read(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text", ["", "unknown", "_hidden", "999.1.1.1", "1.2.3", "[::1", "a" * 1000, "1.2.3.4.5", "::g"]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None or text == "[::1"


@pytest.mark.parametrize(
    ("peer", "header", "found"),
    [
        (CLIENT, "", CLIENT),
        (CLIENT, "203.0.113.9", CLIENT),
        (PROXY, "", PROXY),
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"203.0.113.9, {CLIENT}", CLIENT),
        (PROXY, f"203.0.113.9, {CLIENT}, 10.9.9.9", CLIENT),
        (PROXY, f"{CLIENT}, 2001:db8:1::5", CLIENT),
        (PROXY, "10.1.1.1, 10.2.2.2", "10.1.1.1"),
        (PROXY, f"{CLIENT}, garbage", PROXY),
        (PROXY, f"garbage, {CLIENT}", CLIENT),
        (PROXY, ",,,", PROXY),
        ("", CLIENT, ""),
        ("nonsense", CLIENT, "nonsense"),
    ],
)
def test_the_header_is_read_from_the_right(peer: str, header: str, found: str) -> None:
    assert TRUSTING.client(peer, header) == found


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"for={CLIENT}", CLIENT),
        (f'for="{CLIENT}:80";proto=http;by=203.0.113.43', CLIENT),
        ('for=203.0.113.9, For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::/64"),
        ("for=unknown", PROXY),
        ("proto=http", PROXY),
        (f"for={CLIENT}, for=_hidden", PROXY),
    ],
)
def test_forwarded(header: str, found: str) -> None:
    proxies = Proxies(["10.0.0.0/8"], header="Forwarded")
    assert proxies.meta_name == "HTTP_FORWARDED"
    assert proxies.client(PROXY, header) == found


def test_ipv6_counts_by_network() -> None:
    assert Proxies().client("2001:db8::abcd", "") == "2001:db8::/64"
    assert Proxies(ipv6_prefix=56).client("2001:db8:0:ff::1", "") == "2001:db8::/56"
    assert Proxies(ipv6_prefix=128).client("2001:db8::1", "") == "2001:db8::1"
    assert Proxies().client("::1", "") == "::/64"


def test_a_unix_socket_is_trusted_by_name() -> None:
    assert Proxies(["unix"]).client("", CLIENT) == CLIENT
    assert Proxies(["unix"]).client("203.0.113.5", CLIENT) == "203.0.113.5"


def test_a_long_header_is_bounded() -> None:
    header = ", ".join([CLIENT, *["10.0.0.2"] * (HOPS_MAX - 1)])
    assert TRUSTING.client(PROXY, header) == CLIENT
    longer = ", ".join([CLIENT, *["10.0.0.2"] * HOPS_MAX])
    assert TRUSTING.client(PROXY, longer) == "10.0.0.2"


@given(
    spoofed=st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=30)), max_size=5),
    hops=st.lists(st.integers(1, 2**24 - 2), max_size=3),
)
def test_nothing_that_a_client_writes_changes_its_address(
    spoofed: list[str], hops: list[int]
) -> None:
    base = int(ipaddress.ip_address("10.0.0.0"))
    inside = [str(ipaddress.ip_address(base + hop)) for hop in hops]
    written = [text.replace("\n", "") for text in spoofed]
    header = ", ".join([*written, CLIENT, *inside])
    assert TRUSTING.client(PROXY, header) == CLIENT
    assert TRUSTING.client(CLIENT, header) == CLIENT
    assert Proxies().client(PROXY, header) == PROXY


@given(peer=st.text(max_size=50), header=st.text(max_size=200))
def test_any_text_gives_an_address_or_the_peer(peer: str, header: str) -> None:
    for proxies in (TRUSTING, Proxies(["0.0.0.0/0"], header="Forwarded")):
        found = proxies.client(peer, header)
        assert found == peer or ipaddress.ip_network(found)


@pytest.mark.parametrize(
    "arguments",
    [
        {"trusted": "10.0.0.0/8"},
        {"trusted": ["10.0.0.1/8"]},
        {"trusted": ["proxy.example"]},
        {"header": "X-Real-IP"},
        {"ipv6_prefix": 0},
        {"ipv6_prefix": "64"},
    ],
)
def test_wrong_settings(arguments: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured):
        Proxies(**arguments)


def test_a_scope_of_asgi() -> None:
    scope = {"client": (PROXY, 1234), "headers": [(b"X-Forwarded-For", CLIENT.encode())]}
    assert TRUSTING.of_scope(scope) == CLIENT
    assert TRUSTING.of_scope({"client": None}) == ""


# Keys


def request_of(user: Any = None, **meta: str) -> Any:
    request: Any = RequestFactory().get("/", REMOTE_ADDR=CLIENT, **meta)
    if user is not None:
        request.user = user
    return request


USER = SimpleNamespace(is_authenticated=True, pk=5)
NOBODY = SimpleNamespace(is_authenticated=False, pk=None)


@pytest.mark.parametrize(
    ("key", "request_", "identity"),
    [
        ("ip", request_of(USER), f"ip:{CLIENT}"),
        ("user", request_of(USER), "user:5"),
        ("user", request_of(NOBODY), "user:anonymous"),
        ("user_or_ip", request_of(USER), "user:5"),
        ("user_or_ip", request_of(NOBODY), f"ip:{CLIENT}"),
        ("user_or_ip", request_of(), f"ip:{CLIENT}"),
        ("header:X-Token", request_of(HTTP_X_TOKEN="t"), "header:t"),
        ("header:X-Token", request_of(), "header:"),
        ("session", request_of(), f"ip:{CLIENT}"),
        (lambda request: request.method, request_of(), "key:GET"),
    ],
)
def test_a_key(key: Any, request_: Any, identity: str) -> None:
    assert key_function(key, Proxies())(request_, False) == identity


def test_a_session_counts_by_its_key() -> None:
    request = request_of()
    request.session = SimpleNamespace(session_key="abc")
    assert key_function("session", Proxies())(request, False) == "session:abc"


def test_parts_cannot_run_into_each_other() -> None:
    key = key_function(["header:A", "header:B"], Proxies())
    one = key(request_of(HTTP_A="x|8:header:y", HTTP_B=""), False)
    other = key(request_of(HTTP_A="x", HTTP_B="y|8:header:"), False)
    assert one != other


async def test_async_code_asks_for_the_user_without_a_thread() -> None:
    request = request_of()

    async def auser() -> Any:
        return USER

    request.auser = auser
    assert await key_function("user_or_ip", Proxies())(request, True) == "user:5"
    both = key_function(["ip", "user"], Proxies())(request, True)
    assert await both == f"{len(CLIENT) + 3}:ip:{CLIENT}|6:user:5"


@pytest.mark.parametrize("key", ["", "nobody", "header:", 5, [], "no.such.module", None])
def test_what_is_no_key_is_refused(key: Any) -> None:
    with pytest.raises(ImproperlyConfigured):
        key_function(key, Proxies())


def test_long_headers_are_not_kept() -> None:
    proxies = Proxies(["10.0.0.0/8"])
    for number in range(3):
        header = f"{'x' * 5000}{number}, 198.51.100.7"
        assert proxies.client("10.0.0.1", header) == "198.51.100.7"
        assert proxies.client("10.0.0.1", header + ", 10.0.0.2" * 4) == "198.51.100.7"
    assert proxies.kept == 0
    assert proxies.client("10.0.0.1", "198.51.100.8") == "198.51.100.8"
    assert proxies.kept == 1
