"""How a Python value becomes the bytes of a Redis string, and back.

The first byte of what is stored says how to read the rest:

    0-9 -   int, in decimal, so that INCRBY works on it      t f   True, False      n   None
    s       str, in UTF-8        b   bytes        d   float, as repr() writes it
    p       a signed pickle      j   JSON         m   msgpack
    x       what a serializer class named by a dotted path wrote
    v l w   no value by itself: see ``entries``

A compressed body has its tag in upper case. What needs no pickle gets none, and so costs no
signature: reading a str is one comparison and one decode. The signature of a pickle covers the
tag, the key and the body as stored, so that neither ``pickle.loads`` nor a decompressor sees a
byte that was not verified.

An alias reads only what its own serializer may have written: one that writes JSON never loads a
pickle, however well signed. A value that cannot be read (forged, copied from another key, cut
short, written by something else) is a miss: counted, logged without its content, never loaded.

Left out on purpose: reading what django-redis wrote. Its pickles carry no signature.
"""

from __future__ import annotations

import json
import logging
import pickle
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.module_loading import import_string
from django_redis.exceptions import CompressorError

from cacheapp.cache.entries import WRAPPED
from cacheapp.cache.errors import SerializationError
from cacheapp.cache.signing import SIGNATURE_SIZE, Signer

logger = logging.getLogger("cacheapp.cache")

#: Seconds between two warnings of one alias about values that cannot be read: a cache that
#: another library filled has one for each request.
LOG_INTERVAL_S: Final = 60

#: Where members of sets, hashes and sorted sets stand. They move between keys inside the server
#: (SMOVE, SUNIONSTORE), so their signature binds the alias alone.
MEMBER: Final = b"\0member"
#: Redis's limit of a string (proto-max-bulk-len).
VALUE_SIZE_MAX: Final = 512 * 1024 * 1024
STR_TAG: Final = ord("s")

DEFAULT_SERIALIZER: Final = "default"
#: Below this a compressed value is hardly smaller, and costs its time on every read.
COMPRESS_MIN_BYTES: Final = 1024

COMPRESSORS: Final[Mapping[str, str]] = {
    "gzip": "django_redis.compressors.gzip.GzipCompressor",
    "identity": "django_redis.compressors.identity.IdentityCompressor",
    "lz4": "django_redis.compressors.lz4.Lz4Compressor",
    "lzma": "django_redis.compressors.lzma.LzmaCompressor",
    "zlib": "django_redis.compressors.zlib.ZlibCompressor",
    "zstd": "django_redis.compressors.zstd.ZStdCompressor",
}
IDENTITY: Final = COMPRESSORS["identity"]

#: What reads a stored value, given the whole of it and where it stands.
Reader = Callable[[bytes, bytes], Any]

# What the readers below, and pickles of classes that are gone since, raise.
_UNREADABLE = (
    AttributeError,
    CompressorError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    pickle.PickleError,
)
_UNWRITABLE = (
    AttributeError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    pickle.PicklingError,
)


class UnverifiedError(ValueError):
    """A signature that was not made by this site for this place."""


@dataclass(frozen=True, slots=True)
class Format:
    """One serializer: how it writes what has no plain form, under which tag."""

    tag: str
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]
    is_signed: bool
    #: Whether str, bytes, float, bool and None are stored under their own tags.
    has_plain_types: bool


def _pickle_format(options: Mapping[str, Any], *, has_plain_types: bool) -> Format:
    version = options.get("PICKLE_VERSION", pickle.HIGHEST_PROTOCOL)
    if not isinstance(version, int) or version > pickle.HIGHEST_PROTOCOL:
        raise ImproperlyConfigured(
            f"OPTIONS['PICKLE_VERSION'] must be an integer up to {pickle.HIGHEST_PROTOCOL}, "
            f"not {version!r}"
        )
    return Format(
        "p",
        lambda value: pickle.dumps(value, version),
        pickle.loads,
        is_signed=True,
        has_plain_types=has_plain_types,
    )


def _json_format(options: Mapping[str, Any]) -> Format:
    encoder = DjangoJSONEncoder(ensure_ascii=False, separators=(",", ":"))
    return Format(
        "j",
        lambda value: encoder.encode(value).encode(),
        json.loads,
        is_signed=False,
        has_plain_types=True,
    )


def _msgpack_format(options: Mapping[str, Any]) -> Format:
    try:
        import msgpack
    except ImportError as error:
        raise ImproperlyConfigured(
            "OPTIONS['SERIALIZER'] is 'msgpack', and the package msgpack is not installed: "
            "install cacheapp[msgpack]"
        ) from error
    return Format(
        "m",
        msgpack.packb,
        lambda body: msgpack.unpackb(body, strict_map_key=False),
        is_signed=False,
        has_plain_types=True,
    )


SERIALIZERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Format]]] = {
    "default": lambda options: _pickle_format(options, has_plain_types=True),
    "json": _json_format,
    "msgpack": _msgpack_format,
    "pickle": lambda options: _pickle_format(options, has_plain_types=False),
}


def make_format(options: Mapping[str, Any]) -> Format:
    """Return the serializer that OPTIONS names, by a name in SERIALIZERS or a dotted path.

    Raises ImproperlyConfigured, naming the setting, for one that is neither.
    """
    name = options.get("SERIALIZER") or DEFAULT_SERIALIZER
    if name in SERIALIZERS:
        return SERIALIZERS[name](options)
    written = _imported("SERIALIZER", name, SERIALIZERS)(options=options)
    return Format("x", written.dumps, written.loads, is_signed=False, has_plain_types=False)


def make_compressor(options: Mapping[str, Any]) -> Any:
    """Return the compressor that OPTIONS names, or None. Raises ImproperlyConfigured."""
    name = options.get("COMPRESSOR") or IDENTITY
    path = COMPRESSORS.get(name, name)
    if path == IDENTITY:
        return None
    return _imported("COMPRESSOR", path, COMPRESSORS)(options=options)


def _imported(option: str, path: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(path, type):
        return path
    try:
        return import_string(path)
    except (AttributeError, ImportError) as error:
        raise ImproperlyConfigured(
            f"OPTIONS[{option!r}] is {path!r}, which cannot be imported ({error}); it must be one "
            f"of {', '.join(sorted(names))}, or the dotted path of a django-redis class"
        ) from error


class Codec:
    """Writes and reads the values of one alias. Safe to share between threads.

    ``rejected`` counts the stored values that were not read, in this process.
    """

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        self.alias = alias
        self.rejected = 0
        self._silent_until = 0.0
        self._format = make_format(options)
        self._compressor = make_compressor(options)
        self._compress_min_bytes = int(options.get("COMPRESS_MIN_BYTES", COMPRESS_MIN_BYTES))
        self._signer = Signer(alias)
        #: Whether a str is its tag and its UTF-8, which the backend writes and reads inline.
        self.has_inline_str = self._format.has_plain_types and self._compressor is None
        self._readers = self._make_readers()

    def encode(self, value: Any, place: bytes) -> bytes:
        """Return the bytes to store for ``value`` at ``place``, the whole key or MEMBER.

        Raises SerializationError, and whatever the value's own methods raise.
        """
        kind = type(value)
        try:
            if kind is int:
                return b"%d" % value
            if self._format.has_plain_types:
                if kind is str:
                    return self._pack("s", value.encode())
                if kind is bytes:
                    return self._pack("b", value)
                if kind is float:
                    return b"d" + repr(value).encode()
                if value is None:
                    return b"n"
                if kind is bool:
                    return b"t" if value else b"f"
        except ValueError:
            pass  # a lone surrogate, or more digits than int() reads: only the format takes them
        return self._encode_other(value, place)

    def _encode_other(self, value: Any, place: bytes) -> bytes:
        form = self._format
        try:
            body = form.dumps(value)
        except SynchronousOnlyOperation as error:
            raise SerializationError(
                f"A {type(value).__name__} that still has to query the database cannot be cached "
                "from async code. Cache what it gives: [row async for row in queryset], or "
                "await sync_to_async(list)(queryset)."
            ) from error
        except _UNWRITABLE as error:
            raise SerializationError(
                f"The serializer of cache {self.alias!r} cannot write a {type(value).__name__}: "
                f"{error}. Cache plain data made from it, or choose another OPTIONS['SERIALIZER']."
            ) from error
        return self._pack(form.tag, body, place if form.is_signed else None)

    def _pack(self, tag: str, body: bytes, signed_place: bytes | None = None) -> bytes:
        if self._compressor is not None and len(body) >= self._compress_min_bytes:
            compressed = self._compressor.compress(body)
            if len(compressed) < len(body):
                tag, body = tag.upper(), compressed
        if len(body) > VALUE_SIZE_MAX - 1 - SIGNATURE_SIZE:
            raise SerializationError(
                f"A value of {len(body)} bytes is over Redis's limit of {VALUE_SIZE_MAX}. Store it "
                "in parts, or set OPTIONS['COMPRESSOR']."
            )
        head = tag.encode()
        if signed_place is None:
            return head + body
        return head + self._signer.sign(head + signed_place, body) + body

    def decode(self, raw: bytes, place: bytes, default: Any = None) -> Any:
        """Return the value that ``raw``, found at ``place``, stands for.

        What cannot be read gives ``default``, adds one to ``rejected`` and, at most once a minute,
        a warning to the log.
        """
        try:
            return self._readers[raw[0]](raw, place)
        except _UNREADABLE as error:
            self._reject(error)
            return default

    def _reject(self, error: Exception) -> None:
        """Count a value that cannot be read, and log it unless the log has just heard of one."""
        self.rejected += 1
        now = time.monotonic()
        if now < self._silent_until:
            return
        self._silent_until = now + LOG_INTERVAL_S
        # Neither the value nor the key: keys of sessions are as secret as passwords.
        logger.warning(
            "A stored value of cache %r was treated as missing: %s. %d so far in this process; "
            "the next %d s of them are counted only",
            self.alias,
            "its signature is not ours, or it was made for another key"
            if isinstance(error, UnverifiedError)
            else f"its form is not the serializer's ({type(error).__name__})",
            self.rejected,
            LOG_INTERVAL_S,
        )

    def encode_many(self, values: Iterable[Any], places: list[bytes]) -> list[bytes]:
        """Return ``encode`` of each value at its place. Raises before anything was written."""
        encode = self.encode
        if not self.has_inline_str:
            return [encode(value, place) for value, place in zip(values, places, strict=True)]
        return [
            b"s" + value.encode()
            if value.__class__ is str and value.isascii()
            else encode(value, place)
            for value, place in zip(values, places, strict=True)
        ]

    def decode_many(
        self,
        keys: list[Any],
        places: list[bytes],
        replies: list[bytes | None],
        wrapped: list[tuple[bytes, bytes]],
    ) -> dict[Any, Any]:
        """Return the values found, by their keys; what is missing or unreadable is left out.

        What is no plain value (see ``entries``) is put into ``wrapped``, with its place.
        """
        decode, str_tag = self.decode, STR_TAG if self.has_inline_str else -1
        values = {}
        for key, place, raw in zip(keys, places, replies, strict=True):
            if raw is None:
                continue
            if raw and raw[0] == str_tag and raw.isascii():
                values[key] = raw[1:].decode()
            elif raw and raw[0] in WRAPPED:
                wrapped.append((place, raw))
            else:
                value = decode(raw, place, MISSING)
                if value is not MISSING:
                    values[key] = value
        return values

    def rebind(self, raw: bytes, place: bytes, new_place: bytes) -> bytes | None:
        """Return ``raw``, found at ``place``, as it has to be stored at ``new_place``.

        A signature is verified and made anew; the body stays as it is and is not loaded. None
        for a value that would be rejected.
        """
        tag, signed = raw[:1], raw[:1].lower() == self._format.tag.encode()
        if not (signed and self._format.is_signed):
            return None if self.decode(raw, place, MISSING) is MISSING else raw
        body = raw[1 + SIGNATURE_SIZE :]
        if not self._signer.verify(tag + place, body, raw[1 : 1 + SIGNATURE_SIZE]):
            self.decode(raw, place)  # counts and logs it
            return None
        return tag + self._signer.sign(tag + new_place, body) + body

    def _make_readers(self) -> dict[int, Reader]:
        bodies: dict[str, Callable[[bytes], Any]] = {}
        readers: dict[int, Reader] = dict.fromkeys(b"-0123456789", _read_int)
        form = self._format
        if form.has_plain_types:
            readers |= {ord(tag): _read_constant for tag in _CONSTANTS}
            readers[ord("d")] = _read_float
            bodies |= {"s": _decode_utf8, "b": bytes}
        if not form.is_signed:
            bodies[form.tag] = form.loads
        for tag, loads in bodies.items():
            readers[ord(tag)] = _reader(loads)
            readers[ord(tag.upper())] = _reader(partial(self._loads_compressed, loads))
        if form.is_signed:
            readers[ord(form.tag)] = self._read_signed
            readers[ord(form.tag.upper())] = self._read_signed
        return readers

    def _loads_compressed(self, loads: Callable[[bytes], Any], body: bytes) -> Any:
        return loads(self._plain(body))

    def _plain(self, body: bytes) -> bytes:
        if self._compressor is None:
            raise ValueError("a compressed value, and no OPTIONS['COMPRESSOR'] to read it")
        plain: bytes = self._compressor.decompress(body)
        return plain

    def _read_signed(self, raw: bytes, place: bytes) -> Any:
        tag, body = raw[:1], raw[1 + SIGNATURE_SIZE :]
        if not self._signer.verify(tag + place, body, raw[1 : 1 + SIGNATURE_SIZE]):
            raise UnverifiedError
        return self._format.loads(self._plain(body) if tag.isupper() else body)


#: What decode() gives for an unreadable value where None is a value.
MISSING: Final = object()
_CONSTANTS: Final = {"t": True, "f": False, "n": None}


def _decode_utf8(body: bytes) -> str:
    return body.decode()


def _reader(loads: Callable[[bytes], Any]) -> Reader:
    return lambda raw, place: loads(raw[1:])


def _read_int(raw: bytes, place: bytes) -> int:
    return int(raw)


def _read_float(raw: bytes, place: bytes) -> float:
    return float(raw[1:])


def _read_constant(raw: bytes, place: bytes) -> bool | None:
    return _CONSTANTS[raw.decode()]
