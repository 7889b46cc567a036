"""A running server of our own for each test, and its peers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.running import RunningServer


@pytest.fixture
def running() -> Iterator[RunningServer]:
    """A server with the default options."""
    with RunningServer(enable_debug_command="yes") as server:
        yield server
