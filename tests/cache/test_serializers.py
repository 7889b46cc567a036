"""What is stored, byte by byte, what comes back, and what is refused."""

from __future__ import annotations

import datetime
import decimal
import logging
import pickle
import random
import zlib
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache import serializers
from cacheapp.cache.errors import SerializationError
from cacheapp.cache.serializers import LOG_INTERVAL_S, MISSING, Codec
from cacheapp.cache.signing import SIGNATURE_SIZE

PLACE = b":1:key"
DATE = datetime.datetime(2026, 11, 21, 8, 30, tzinfo=datetime.UTC)

PLAIN = [
    (0, b"0"),
    (-17, b"-17"),
    (2**70, b"1180591620717411303424"),
    (True, b"t"),
    (False, b"f"),
    (None, b"n"),
    (1.5, b"d1.5"),
    (float("inf"), b"dinf"),
    ("", b"s"),
    ("12", b"s12"),
    ("grün", b"sgr\xc3\xbcn"),
    (b"", b"b"),
    (b"\x80\x00", b"b\x80\x00"),
]
OTHERS: list[Any] = [
    [1, "two", None],
    {"a": {"b": [1.5]}},
    (1, (2,)),
    {1, 2},
    decimal.Decimal("1.10"),
    DATE,
    "lone \ud800",
    pytest.param(10**5000, id="digits"),
    Path,
]


loaded: list[int] = []


def note_loading(number: int) -> None:
    loaded.append(number)


class Marker:
    """Writes down that it was loaded, as an attacker's pickle would run code."""

    def __reduce__(self) -> Any:
        return note_loading, (1,)


@pytest.mark.parametrize(("value", "raw"), PLAIN)
@pytest.mark.parametrize("serializer", ["default", "json", "msgpack"])
def test_plain_types_are_stored_under_a_tag(value: Any, raw: bytes, serializer: str) -> None:
    codec = Codec("a", {"SERIALIZER": serializer})
    assert codec.encode(value, PLACE) == raw
    found = codec.decode(raw, PLACE, MISSING)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("value", [*OTHERS, *(value for value, _ in PLAIN)])
@pytest.mark.parametrize("serializer", ["default", "pickle"])
def test_the_rest_is_a_signed_pickle(value: Any, serializer: str) -> None:
    codec = Codec("a", {"SERIALIZER": serializer})
    found = codec.decode(codec.encode(value, PLACE), PLACE, MISSING)
    assert (type(found), found) == (type(value), value)


def test_integers_stay_decimal_under_every_serializer() -> None:
    names = [*serializers.SERIALIZERS, "django_redis.serializers.json.JSONSerializer"]
    assert {Codec("a", {"SERIALIZER": name}).encode(12, PLACE) for name in names} == {b"12"}


@pytest.mark.parametrize("serializer", ["json", "msgpack"])
def test_data_formats(serializer: str) -> None:
    codec = Codec("a", {"SERIALIZER": serializer})
    value = {"a": [1, 2.5, "ü", None, True]}
    raw = codec.encode(value, PLACE)
    assert raw[:1] == serializer[:1].encode()
    assert codec.decode(raw, PLACE) == value
    assert codec.decode(raw[:-1], PLACE, "miss") == "miss"


def test_a_class_named_by_its_path_writes_everything_but_integers() -> None:
    codec = Codec("a", {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"})
    assert codec.encode("text", PLACE) == b'x"text"'
    assert codec.decode(b'x"text"', PLACE) == "text"
    assert codec.decode(b"stext", PLACE, "miss") == "miss"


def test_the_pickle_serializer_reads_no_unsigned_text() -> None:
    assert Codec("a", {"SERIALIZER": "pickle"}).decode(b"stext", PLACE, "miss") == "miss"


@pytest.mark.parametrize(("serializer", "tag"), [("json", b"j"), ("msgpack", b"m")])
def test_a_value_nested_beyond_reason_is_a_miss(serializer: str, tag: bytes) -> None:
    codec = Codec("a", {"SERIALIZER": serializer, "COMPRESSOR": "zlib"})
    nested = (b"[" if serializer == "json" else b"\x91") * 200_000
    for raw in (tag + nested, tag.upper() + zlib.compress(nested)):
        assert codec.decode(raw, PLACE, "miss") == "miss"


def test_an_alias_that_writes_json_loads_no_pickle() -> None:
    signed = Codec("a", {}).encode([1], PLACE)
    assert Codec("a", {"SERIALIZER": "json"}).decode(signed, PLACE, "miss") == "miss"


SIGNED = Codec("a", {}).encode([1, 2, 3], PLACE)
FORGED = b"p" + bytes(SIGNATURE_SIZE) + pickle.dumps(Marker())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"?",
        b"12x",
        b"dzero",
        b"true",
        b"s\xff",
        b"p",
        FORGED,
        pickle.dumps(Marker()),
        b"P" + FORGED[1:],
        SIGNED[:-1],
        SIGNED[: SIGNATURE_SIZE // 2],
        SIGNED[:-1] + b"\x00",
        b"P" + SIGNED[1:],
    ],
)
def test_what_cannot_be_read_is_a_miss(raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    codec = Codec("a", {})
    with caplog.at_level(logging.WARNING, "cacheapp.cache"):
        assert codec.decode(raw, PLACE, "miss") == "miss"
    assert codec.rejected == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert PLACE.decode() not in caplog.text
    assert loaded == []


def test_a_cache_full_of_foreign_values_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, now = Codec("a", {}), [1000.0]
    monkeypatch.setattr("cacheapp.cache.serializers.time.monotonic", lambda: now[0])
    for _ in range(500):
        codec.decode(b"\x80 not ours", PLACE)
    assert codec.rejected == 500
    assert len(caplog.records) == 1
    now[0] += LOG_INTERVAL_S
    codec.decode(b"\x80 not ours", PLACE)
    assert len(caplog.records) == 2
    assert "501 so far" in caplog.text


def test_the_marker_works() -> None:
    pickle.loads(pickle.dumps(Marker()))
    assert loaded.pop() == 1


@pytest.mark.parametrize(
    ("alias", "place"), [("b", PLACE), ("a", b":1:other"), ("a", serializers.MEMBER)]
)
def test_a_value_copied_elsewhere_is_a_miss(alias: str, place: bytes) -> None:
    assert Codec(alias, {}).decode(SIGNED, place, "miss") == "miss"
    assert Codec("a", {}).decode(SIGNED, PLACE) == [1, 2, 3]


def test_keys_rotate_through_the_fallbacks(settings: Any) -> None:
    codec = Codec("a", {})
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
    assert codec.decode(SIGNED, PLACE) == [1, 2, 3]
    resigned = codec.encode([1, 2, 3], PLACE)
    assert resigned != SIGNED
    settings.SECRET_KEY_FALLBACKS = []
    assert codec.decode(SIGNED, PLACE, "miss") == "miss"
    assert codec.decode(resigned, PLACE) == [1, 2, 3]


def test_rebind_moves_a_signature_without_loading() -> None:
    codec = Codec("a", {})
    moved = codec.rebind(SIGNED, PLACE, b":2:key")
    assert moved is not None
    assert codec.decode(moved, b":2:key") == [1, 2, 3]
    assert codec.decode(moved, PLACE, "miss") == "miss"
    assert codec.rebind(b"stext", PLACE, b":2:key") == b"stext"
    assert codec.rebind(FORGED, PLACE, b":2:key") is None
    assert codec.rebind(b"s\xff", PLACE, b":2:key") is None
    assert codec.rejected == 3
    assert loaded == []


@pytest.mark.parametrize("compressor", ["zlib", "gzip", "lzma"])
@pytest.mark.parametrize("serializer", ["default", "json", "msgpack", "pickle"])
@pytest.mark.parametrize("value", ["x" * 5000, ["x" * 5000]], ids=["str", "list"])
def test_long_values_are_compressed(compressor: str, serializer: str, value: Any) -> None:
    codec = Codec("a", {"COMPRESSOR": compressor, "SERIALIZER": serializer})
    raw = codec.encode(value, PLACE)
    assert len(raw) < 1000
    assert raw[:1].isupper()
    assert codec.decode(raw, PLACE) == value
    assert codec.decode(raw[:-3], PLACE, "miss") == "miss"


def test_short_values_are_not_compressed() -> None:
    codec = Codec("a", {"COMPRESSOR": "zlib"})
    assert codec.encode("x" * 1000, PLACE) == b"s" + b"x" * 1000
    codec = Codec("a", {"COMPRESSOR": "zlib", "COMPRESS_MIN_BYTES": 100})
    assert len(codec.encode("x" * 1000, PLACE)) < 100


def test_what_compression_does_not_shorten_is_stored_as_it_is() -> None:
    noise = random.Random(1).randbytes(5000)
    raw = Codec("a", {"COMPRESSOR": "zlib"}).encode(noise, PLACE)
    assert raw == b"b" + noise


def test_a_compressed_value_without_a_compressor_is_a_miss() -> None:
    raw = Codec("a", {"COMPRESSOR": "zlib"}).encode("x" * 5000, PLACE)
    assert Codec("a", {}).decode(raw, PLACE, "miss") == "miss"


def test_a_compressed_pickle_is_verified_before_it_is_decompressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codec = Codec("a", {"COMPRESSOR": "zlib"})
    raw = codec.encode(["x" * 5000], PLACE)
    monkeypatch.setattr(codec, "_plain", lambda body: pytest.fail("decompressed"))
    assert codec.decode(raw[:-1] + b"!", PLACE, "miss") == "miss"


@pytest.mark.parametrize("serializer", ["default", "json", "msgpack", "pickle"])
def test_what_cannot_be_written_says_so(serializer: str) -> None:
    codec = Codec("the alias", {"SERIALIZER": serializer})
    with pytest.raises(SerializationError, match="'the alias' cannot write a generator") as caught:
        codec.encode((number for number in ()), PLACE)
    assert isinstance(caught.value, pickle.PickleError)
    assert isinstance(caught.value, TypeError)


def test_a_value_over_the_limit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serializers, "VALUE_SIZE_MAX", 1000)
    with pytest.raises(SerializationError, match="over Redis's limit of 1000"):
        Codec("a", {}).encode("x" * 1001, PLACE)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"SERIALIZER": "yaml"}, r"OPTIONS\['SERIALIZER'\] is 'yaml'.*default, json"),
        ({"SERIALIZER": "no.such.Class"}, "cannot be imported"),
        ({"COMPRESSOR": "zip"}, r"OPTIONS\['COMPRESSOR'\] is 'zip'.*zlib"),
        ({"PICKLE_VERSION": 99}, "PICKLE_VERSION"),
    ],
)
def test_unknown_names_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=text):
        Codec("a", options)


def test_many_at_once() -> None:
    for options in ({}, {"COMPRESSOR": "zlib"}, {"SERIALIZER": "pickle"}):
        codec = Codec("a", options)
        values = ["text", "ü", "\ud800", 1, [2], None]
        places = [b":1:%d" % number for number in range(len(values))]
        replies = codec.encode_many(values, places)
        keys = list("abcdef")
        assert codec.decode_many(keys, places, replies, []) == dict(zip(keys, values, strict=True))
        damaged = [None, b"", *replies[2:]]
        assert set(codec.decode_many(keys, places, damaged, [])) == set(keys[2:])
        assert codec.rejected == 1
