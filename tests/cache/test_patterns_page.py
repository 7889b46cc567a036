"""The examples of docs/patterns.md run, in the order in which they stand there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from cacheapp.cache.writebehind import queues
from cacheapp.invalidation.models import forget
from demo_site.models import Airport
from tests.test_docs import blocks

POSITION = {"name": "Schiphol", "country": "NL", "elevation_ft": -11, "lat": 52.3, "lon": 4.8}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "patterns.md"


@pytest.mark.django_db(transaction=True)
def test_the_page_s_examples_run() -> None:
    caches["default"].clear()
    examples = blocks(PAGE.read_text(encoding="utf-8"), "python")
    assert len(examples) >= 5
    names: dict[str, Any] = {}
    try:
        for number, example in enumerate(examples):
            exec(compile(example, f"patterns.md, example {number}", "exec"), names)
        caches["default"].set("airport:EHAM", "old")
        names["Airport"].objects.bulk_create([names["Airport"](icao="EHAM", **POSITION)])
        assert caches["default"].get("airport:EHAM") is None
    finally:
        queues.pop("hits", None)
        forget(Airport)
