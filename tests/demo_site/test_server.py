"""What pages may say of the server."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from demo_site.server import connection, raw_key, safe_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@example.org:6380/2", "redis://example.org:6380/2"),
        ("rediss://:se%40cret@h/0?password=x", "rediss://h/0"),
        ("redis://:p@ss@h:1/0", "redis://h:1/0"),
        ("memory://demo?requirepass=x", "memory://demo"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert safe_url(url) == shown


def test_clear_leaves_the_demos_own_keys(server: str) -> None:
    connection().set(raw_key("x"), "1")
    cache.set("page", "1")
    cache.clear()
    assert cache.get("page") is None
    assert connection().get(raw_key("x")) == b"1"
