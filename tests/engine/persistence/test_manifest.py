"""The manifest of a log: Redis's own lines, and what is refused."""

from __future__ import annotations

import pytest

from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.manifest import Manifest, unpacked

OF_REDIS = b"""
file a.2.base.rdb seq 2 type b
file a.1.incr.aof seq 1 type h
file a.2.incr.aof seq 2 type i
"""


def test_lines_of_redis() -> None:
    found = unpacked(b"# a remark\n" + OF_REDIS)
    assert found == Manifest(
        ("a.2.base.rdb", 2), (("a.2.incr.aof", 2),), past=(("a.1.incr.aof", 1),)
    )
    assert (found.next_base, found.next_changes) == (3, 3)
    assert found.files == (("a.2.base.rdb", 2), ("a.2.incr.aof", 2))


@pytest.mark.parametrize("name", ["plain", "with space", 'a "quote"', "back\\slash", "it's"])
def test_names_come_back(name: str) -> None:
    made = Manifest((name, 1)).with_changes(f"{name}.incr", 7)
    assert unpacked(made.packed()) == made


def test_an_empty_one() -> None:
    assert unpacked(b"") == Manifest()
    assert (Manifest().next_base, Manifest().next_changes) == (1, 1)


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense", b"file a seq x type b", b"file a seq 1 type z", b"file ../a seq 1 type b",
        b'file "a seq 1 type b', b"file a seq 1",
        b"file a seq 1 type b\nfile b seq 2 type b",
        b"file a seq 2 type i\nfile b seq 1 type i",
    ],
)  # fmt: skip
def test_what_is_refused(line: bytes) -> None:
    with pytest.raises(CorruptPayload, match="its line"):
        unpacked(line)
