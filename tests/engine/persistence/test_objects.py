"""Values of each type to bytes and back, with the encodings that the limits in force ask for."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.config import Config, parse_options
from cacheapp.engine.persistence.encoding import CorruptPayload, Reader
from cacheapp.engine.persistence.objects import load_value, save_value
from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.structures.set import Set
from cacheapp.engine.structures.sortedset import SortedSet

TEXT = st.one_of(
    st.binary(max_size=30),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b"%d" % number),
    st.just(b"x" * 65),
)
SCORE = st.one_of(st.floats(allow_nan=False), st.integers(-(10**18), 10**18).map(float))


def configured(**options: str) -> Config:
    config = Config()
    config.update(parse_options({name.replace("_", "-"): text for name, text in options.items()}))
    return config


DEFAULT = configured()


def again(value: Any, config: Config = DEFAULT) -> Any:
    reader = Reader(save_value(value, config))
    made = load_value(reader, config)
    assert reader.left == 0
    return made


@given(text=TEXT)
def test_strings(text: bytes) -> None:
    assert again(text) == text
    assert again(bytearray(text)) == text


def test_a_counter_is_its_digits() -> None:
    assert again(-77) == b"-77"


@given(items=st.lists(TEXT, min_size=1), fill=st.sampled_from(["-1", "-5", "1", "3", "0"]))
def test_lists(items: list[bytes], fill: str) -> None:
    assert again(deque(items), configured(list_max_listpack_size=fill)) == deque(items)


def test_nodes_of_a_list_are_filled_from_the_head() -> None:
    def nodes(fill: str) -> int:
        value = deque([b"x" * 1000] * 10)
        return save_value(value, configured(list_max_listpack_size=fill))[1]

    assert [nodes("-1"), nodes("-2"), nodes("-5"), nodes("3"), nodes("1")] == [3, 2, 1, 4, 10]


@given(fields=st.dictionaries(TEXT, TEXT, min_size=1))
def test_hashes(fields: dict[bytes, bytes]) -> None:
    value = Hash()
    for field, content in fields.items():
        value.put(field, content, 512, 64)
    made = again(value)
    assert made.items() == value.items()
    assert made.encoding(None) == value.encoding(None)


@given(members=st.sets(TEXT, min_size=1))
def test_sets(members: set[bytes]) -> None:
    value = Set.of(members, 512)
    made = again(value)
    assert set(made.members()) == members
    assert made.intset == value.intset


@given(scores=st.dictionaries(TEXT, SCORE, min_size=1))
def test_sorted_sets(scores: dict[bytes, float]) -> None:
    value = SortedSet.of(scores, 128, 64)
    made = again(value)
    assert list(made.items()) == list(value.items())
    assert made.packed == value.packed


def test_a_large_value_becomes_packed_where_it_fits_again() -> None:
    value = Hash()
    value.put(b"f", b"v", 0, 64)
    assert value.encoding(None) == b"hashtable"
    assert again(value).encoding(None) == b"listpack"
    # One that came packed is only measured by its entries, as in Redis.
    packed = Hash()
    packed.put(b"f", b"x" * 100, 512, 100)
    assert again(packed).encoding(None) == b"listpack"


@pytest.mark.parametrize(
    "body",
    [
        "1200",
        "12010300",
        "120102080800000000ff",
        "120107010a0000",
        "10" + "09" + "09000000" + "0100" + "0501" + "ff",
        "11" + "0b" + "0b000000" + "0200" + "0501" + "8101" + "ff",
        "11" + "0d" + "0d000000" + "0200" + "816102" + "81610202"[:6] + "ff",
        "0301" + "0161" + "fd",
        "0301" + "0161" + "0178",
        "050201610000000000000000016100000000000000f0",
    ],
)
def test_damage_that_only_the_type_notices(body: str) -> None:
    with pytest.raises(CorruptPayload):
        load_value(Reader(bytes.fromhex(body)), DEFAULT)
