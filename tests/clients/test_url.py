"""Server URLs: what memory:// URLs say, and that errors name the part that is wrong."""

from __future__ import annotations

import pytest

from cacheapp.clients.factory import get_client
from cacheapp.clients.url import (
    CLIENT_OPTIONS,
    SCHEMES,
    EngineURL,
    UnknownSchemeError,
    URLError,
    URLOptionError,
    check_url,
    is_engine_url,
    parse_engine_url,
)
from cacheapp.engine.config import ALIASES, PARAMETERS


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://", EngineURL("default", None)),
        ("memory://cache", EngineURL("cache", None)),
        ("memory://cache/3", EngineURL("cache", 3)),
        ("memory://cache/0", EngineURL("cache", 0)),
        ("memory:///3", EngineURL("default", 3)),
        ("memory://cache/?db=4", EngineURL("cache", 4)),
        ("memory://Mixed-Case.name", EngineURL("Mixed-Case.name")),
        ("memory://a%20b", EngineURL("a b")),
        (
            "memory://c/0?maxmemory=256mb&maxmemory-policy=allkeys-lfu",
            EngineURL("c", 0, {"maxmemory": "256mb", "maxmemory-policy": "allkeys-lfu"}),
        ),
        (
            "memory://c?decode_responses=yes&protocol=2&socket_timeout=1.5",
            EngineURL(
                "c", None, {}, {"decode_responses": True, "protocol": 2, "socket_timeout": 1.5}
            ),
        ),
        ("memory://c?socket_timeout=none", EngineURL("c", None, {}, {"socket_timeout": None})),
        (
            "memory://ann:p%40ss@c",
            EngineURL("c", None, {}, {"username": "ann", "password": "p@ss"}),
        ),
        ("memory://:secret@c", EngineURL("c", None, {}, {"password": "secret"})),
        ("memory://c?requirepass=", EngineURL("c", None, {"requirepass": ""})),
    ],
)
def test_what_a_memory_url_says(url: str, said: EngineURL) -> None:
    assert parse_engine_url(url) == said


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory://c?maxmemry=1mb", ["'maxmemry'", "did you mean 'maxmemory'"]),
        ("memory://c?decode_response=yes", ["'decode_response'", "'decode_responses'"]),
        ("memory://c?zzz=1", ["unknown option 'zzz'"]),
        ("memory://c?maxmemory=plenty", ["'maxmemory'", "'plenty'", "memory value"]),
        ("memory://c?maxmemory-policy=lru", ["'maxmemory-policy'", "allkeys-lru"]),
        ("memory://c?protocol=4", ["'protocol'", "2 or 3"]),
        ("memory://c?decode_responses=maybe", ["'decode_responses'", "'yes' or 'no'"]),
        ("memory://c?socket_timeout=0", ["'socket_timeout'", "positive"]),
        ("memory://c?encoding=klingon", ["'encoding'", "'klingon'"]),
        ("memory://c?encoding_errors=sigh", ["'encoding_errors'", "'sigh'"]),
        ("memory://c?max_connections=-1", ["'max_connections'", "negative"]),
        ("memory://c?health_check_interval=soon", ["'health_check_interval'", "'soon'"]),
        ("memory://c?maxmemory=1mb&maxmemory=2mb", ["'maxmemory'", "twice"]),
        ("memory://c/zero", ["must be a number", "'zero'"]),
        ("memory://c/1/2", ["must be a number"]),
        ("memory://c/-1", ["must be a number"]),
        ("memory://c?db=x", ["must be a number"]),
        ("memory://c/0#1", ["%23"]),
    ],
)
def test_errors_name_the_part_and_the_remedy(url: str, words: list[str]) -> None:
    with pytest.raises(URLOptionError) as caught:
        parse_engine_url(url)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("url", ["http://host", "host:6379", "", "redis:/host", "memcache://x"])
def test_an_unknown_scheme_names_the_known_ones(url: str) -> None:
    with pytest.raises(UnknownSchemeError) as caught:
        check_url(url)
    for scheme in SCHEMES:
        assert f"{scheme}://" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_near_scheme_is_proposed() -> None:
    with pytest.raises(UnknownSchemeError, match="did you mean redis://"):
        check_url("reddis://host")


#: Passwords that are not percent-encoded, in which an URL ends too early.
BARE = ["hu/hush", "hush/hu", "hush?hu", "hu?hush", "hu?hush=1&a=2", "hush#hu", "hu#hush", "h[hush"]


@pytest.mark.parametrize(
    "url",
    [
        "http://ann:hush@host/0",
        "memory://ann:hush@c?maxmemry=1",
        "memory://ann:hush@c/zero",
        "redis://ann:hush@host/zero",
        "redis://ann:hush@host?sokcet_timeout=1",
        *(
            f"{scheme}://ann:{text}@host/0"
            for scheme in ("memory", "redis", "rediss", "redi")
            for text in BARE
        ),
        "redi://:hush",
        "redi://hush?hu@host",
        "redis://:hush",  # what is left of ":hush,er@host" when LOCATION is split at its commas
    ],
)
def test_errors_keep_passwords_to_themselves(url: str) -> None:
    with pytest.raises(URLError) as caught:
        check_url(url)
    assert "hush" not in str(caught.value)


def test_redis_urls_are_checked_by_redis_py() -> None:
    check_url("redis://host:6379/0?socket_timeout=1")
    check_url("rediss://host")
    check_url("unix:///run/redis.sock?db=1")
    with pytest.raises(URLOptionError, match="socket_timeout"):
        check_url("redis://host?socket_timeout=long")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://host?sokcet_timeout=1", ["'sokcet_timeout'", "did you mean 'socket_timeout'"]),
        ("rediss://host/0?ssl_cert_req=none", ["'ssl_cert_req'", "'ssl_cert_reqs'"]),
        ("unix:///run/redis.sock?zzz=", ["unknown option 'zzz'"]),
        ("redis://host/zero", ["must be a number", "'zero'"]),
        ("redis://host:port", ["host or port", "percent-encoded"]),
        ("redis://host:0", ["host or port"]),
    ],
)
def test_what_redis_py_would_notice_late_or_never(url: str, words: list[str]) -> None:
    with pytest.raises(URLOptionError) as caught:
        check_url(url)
    for word in words:
        assert word in str(caught.value)
    with pytest.raises(URLOptionError):
        get_client(url)


def test_options_of_real_servers() -> None:
    for option in ("looks=0", "is_master=0", "ssl_cert_reqs=none", "max_connections=5", "db=1"):
        check_url(f"rediss://host?{option}")
    check_url("redis://host/0/?client_name=a@b")
    check_url("unix:///run/user@host/redis.sock")


def test_which_urls_are_the_engines() -> None:
    assert is_engine_url("memory://c")
    assert not is_engine_url("redis://c")
    with pytest.raises(UnknownSchemeError):
        is_engine_url("file://c")
    with pytest.raises(UnknownSchemeError):
        parse_engine_url("redis://c")


def test_no_name_is_both_the_engines_and_the_clients() -> None:
    assert not set(CLIENT_OPTIONS) & ({*PARAMETERS} | {*ALIASES})
