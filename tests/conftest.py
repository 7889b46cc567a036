"""For every test: the real redis-server, the skip where there is none, Hypothesis's profile."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.raw import SocketRaw
from tests.redis_server import HOST, MISSING, RedisServer, binary

pytest_plugins = ["pytester", "tests.skips"]

# No stopwatch on a shared machine; in CI the same examples each time, so that a red run is about
# the change. `make fuzz` looks further.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `requires_redis` where there is no redis-server."""
    if binary() is None:
        for item in items:
            if item.get_closest_marker("requires_redis"):
                item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest.fixture(scope="session")
def redis_process() -> Iterator[RedisServer]:
    """The session's one redis-server, in whatever state the last test left it."""
    if binary() is None:
        pytest.skip(MISSING)
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def _redis_defaults(redis_process: RedisServer) -> Iterator[tuple[SocketRaw, dict[bytes, bytes]]]:
    control = SocketRaw(HOST, redis_process.port, protocol=3)
    yield control, control.execute("CONFIG", "GET", "*")
    control.close()


@pytest.fixture
def redis_server(
    redis_process: RedisServer, _redis_defaults: tuple[SocketRaw, dict[bytes, bytes]]
) -> RedisServer:
    """The session's redis-server: empty, no users, and its first configuration."""
    control, defaults = _redis_defaults
    for name, value in control.execute("CONFIG", "GET", "*").items():
        if defaults[name] != value:
            control.execute("CONFIG", "SET", name, defaults[name])
    control.execute("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    control.execute("FLUSHALL")
    control.execute("SCRIPT", "FLUSH")
    control.execute("FUNCTION", "FLUSH")
    for user in control.execute("ACL", "USERS"):
        if user != b"default":
            control.execute("ACL", "DELUSER", user)
    everything = ("on", "nopass", "~*", "&*", "+@all", "clearselectors")
    control.execute("ACL", "SETUSER", "default", *everything)
    control.execute("ACL", "LOG", "RESET")
    control.execute("CONFIG", "RESETSTAT")
    return redis_process
