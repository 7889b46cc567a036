"""Aliases made for one test."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cache.aliases import MakeCache, maker


@pytest.fixture
def make_cache(settings: Any) -> MakeCache:
    """A function that writes an alias into CACHES and returns its cache."""
    return maker(settings)
