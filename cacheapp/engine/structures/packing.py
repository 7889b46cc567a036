"""Small hashes and sets as one bytes object, their elements written one after the other.

A dict of five short fields takes about 700 bytes in CPython, most of it the headers of its parts;
one bytes object takes 33 and its content. So they are kept as

    FF field FE value FF field FE value FF

(small sets without the values) and searched by `bytes.find`, which at such lengths costs about
what a dict costs. The two marks are bytes that no UTF-8 text has. Elements that contain one are
not packed, which is simpler than to escape them; lengths before the elements would need a loop of
Python's for each look-up.

The functions know nothing of limits other than their own length: what they refuse is kept as a
dict or set. See docs/decisions/082-packed-hashes.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

# Beyond it searching and copying take longer than a dict does.
PACKED_BYTES_MAX: Final = 1024
# Ends every value and begins every field; alone it is the empty collection.
EMPTY: Final = b"\xff"
_FIELD, _VALUE = EMPTY, b"\xfe"


def packable(element: bytes) -> bool:
    """Whether `element` contains none of the marks."""
    return element.isascii() or (_FIELD not in element and _VALUE not in element)


def pack(pairs: Sequence[bytes]) -> bytes | None:
    """Fields and values in turn as one packed bytes; None where it refuses them.

    It does for a mark inside, a field that comes twice, or too much in all.
    """
    fields = pairs[::2]
    packed = _FIELD + _FIELD.join(map(_VALUE.join, zip(fields, pairs[1::2], strict=True))) + _FIELD
    size = len(fields)
    if (
        len(packed) > PACKED_BYTES_MAX
        or len(set(fields)) != size
        or packed.count(_FIELD) != size + 1
        or packed.count(_VALUE) != size
    ):
        return None
    return packed


def pack_fields(fields: dict[bytes, bytes]) -> bytes | None:
    """As `pack`, of fields with their values."""
    packed = _FIELD + _FIELD.join(map(_VALUE.join, fields.items())) + _FIELD if fields else EMPTY
    size = len(fields)
    if (
        len(packed) > PACKED_BYTES_MAX
        or packed.count(_FIELD) != size + 1
        or packed.count(_VALUE) != size
    ):
        return None
    return packed


def unpack(packed: bytes) -> dict[bytes, bytes]:
    """All fields with their values, in order."""
    parts = iter(packed.replace(_VALUE, _FIELD).split(_FIELD))
    next(parts)
    # Nothing follows the last mark: an odd part, which zip leaves.
    return dict(zip(parts, parts, strict=False))


def count(packed: bytes) -> int:
    """How many fields there are."""
    return packed.count(_FIELD) - 1


def find(packed: bytes, field: bytes) -> bytes | None:
    """The value of `field`, or None."""
    rest = packed.partition(_FIELD + field + _VALUE)[2]
    # A field with a mark may look like the end of one value and the field after it.
    if not rest or not packable(field):
        return None
    return rest.partition(_FIELD)[0]


def put(packed: bytes, field: bytes, value: bytes) -> tuple[bytes, bool] | None:
    """With `field` set to `value`, and whether it is new; None where the result is refused."""
    if not (packable(field) and packable(value)):
        return None
    before, mark, rest = packed.partition(_FIELD + field + _VALUE)
    if mark:
        if rest.startswith(value + _FIELD):
            return packed, False
        result = before + mark + value + rest[rest.index(_FIELD) :]
    else:
        result = b"%b%b\xfe%b\xff" % (packed, field, value)
    return (result, not mark) if len(result) <= PACKED_BYTES_MAX else None


def remove(packed: bytes, field: bytes) -> bytes | None:
    """Without `field`; None where it is not there."""
    before, mark, rest = packed.partition(_FIELD + field + _VALUE)
    if not mark or not packable(field):
        return None
    return before + rest[rest.index(_FIELD) :]


def pack_members(members: Collection[bytes]) -> bytes | None:
    """Different members as one packed bytes, a field without a value each; None as `pack`."""
    packed = _FIELD + _FIELD.join(members) + _FIELD if members else EMPTY
    if len(packed) > PACKED_BYTES_MAX or packed.count(_FIELD) != len(members) + 1:
        return None
    return packed


def member_list(packed: bytes) -> list[bytes]:
    """All members, in order."""
    return packed.split(_FIELD)[1:-1]


def has_member(packed: bytes, member: bytes) -> bool:
    """Whether `member` is there."""
    return packed.find(_FIELD + member + _FIELD) >= 0 and packable(member)


def add_member(packed: bytes, member: bytes) -> bytes | None:
    """With `member`; `packed` itself if it is there already, None where the result is refused."""
    if not packable(member):
        return None
    if packed.find(_FIELD + member + _FIELD) >= 0:
        return packed
    result = packed + member + _FIELD
    return result if len(result) <= PACKED_BYTES_MAX else None


def remove_member(packed: bytes, member: bytes) -> bytes | None:
    """Without `member`; None where it is not there."""
    before, mark, after = packed.partition(_FIELD + member + _FIELD)
    if not mark or not packable(member):
        return None
    return before + _FIELD + after
