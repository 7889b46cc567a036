"""From bytes on the wire to numbers, bounds and patterns, with Redis's strictness.

Python's own `int()` and `float()` are more lenient than C (spaces, underscores, a plus sign), so
each parser first checks the form. Globs become regular expressions of atomic groups: a star never
gives back what it matched, so matching stays linear in the text for any number of stars.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache

from cacheapp.engine.errors import (
    INVALID_CURSOR,
    MIN_MAX_NOT_FLOAT,
    MIN_MAX_NOT_STRING,
    NEGATIVE_TIMEOUT,
    NOT_A_FLOAT,
    NOT_AN_INTEGER,
    TIMEOUT_NOT_A_FLOAT,
    CommandError,
    text,
)
from cacheapp.engine.longdouble import ceil_of_product, parse_long_double

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]*)\Z")
_FLOAT = re.compile(rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\Z")
_HEX_FLOAT = re.compile(
    rb"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?\Z"
)
_CURSOR = re.compile(rb"[+-]?[0-9]+\Z|\Z")
_INFINITY = re.compile(rb"[+-]?inf(?:inity)?\Z", re.IGNORECASE)

# Redis gives up on a pattern with more stars.
_GLOB_STARS_MAX = 1000

_DIGITS_MAX = 300

# Half of parsing a number is making sure of its form: the usual ones are looked up.
_USUAL = {b"%d" % number: number for number in range(-100, 1001)}


def parse_int(
    raw: bytes,
    error: str = NOT_AN_INTEGER,
    low: int = INT64_MIN,
    high: int = INT64_MAX,
) -> int:
    """A signed 64-bit integer in canonical decimal form, within `low` and `high`.

    Raises CommandError(error) for anything else: signs other than a leading minus, leading
    zeros, spaces, or a number out of range.
    """
    value = _USUAL.get(raw)
    if value is None and len(raw) <= 20:
        try:
            value = int(raw)
        except ValueError:
            raise CommandError(error) from None
        # Of what Python reads, only what it would write so.
        if b"%d" % value != raw:
            value = None
    if value is not None and low <= value <= high:
        return value
    raise CommandError(error)


def parse_int32(raw: bytes, error: str | None = None) -> int:
    """A C int. Without `error`, a 64-bit number beyond it has an error text of its own."""
    value = parse_int(raw, error or NOT_AN_INTEGER)
    if not -(2**31) <= value < 2**31:
        raise CommandError(
            error or "ERR value is out of range, value must between -2147483648 and 2147483647"
        )
    return value


def parse_client_type(raw: bytes) -> str:
    """A class of clients, as CLIENT LIST and KILL take it; `slave` is `replica`."""
    name = text(raw).lower()
    if name not in ("normal", "master", "replica", "slave", "pubsub"):
        raise CommandError(f"ERR Unknown client type '{text(raw)}'")
    return "replica" if name == "slave" else name


def parse_timeout_ms(raw: bytes) -> int:
    """The timeout of a blocking command: seconds, with fractions, as whole milliseconds (up).

    Raises CommandError; what is negative but rounds up to zero is zero, which means for ever.
    """
    if len(raw) < 10 and raw.isdigit():
        return int(raw) * 1000
    timeout_ms = ceil_of_product(parse_long_double(raw, TIMEOUT_NOT_A_FLOAT), 1000)
    # What does not fit 64 bits wraps to a negative number in Redis, and is refused as one.
    if timeout_ms is None or not 0 <= timeout_ms <= INT64_MAX:
        raise CommandError(NEGATIVE_TIMEOUT)
    return timeout_ms


def is_canonical_int(raw: bytes) -> bool:
    """Whether Redis would store `raw` as an integer: canonical decimal that fits 64 bits."""
    return (
        0 < len(raw) <= 20
        and _INTEGER.match(raw) is not None
        and INT64_MIN <= int(raw) <= INT64_MAX
    )


def parse_float(raw: bytes, error: str = NOT_A_FLOAT) -> float:
    """A double as C's strtod reads the whole of `raw` (decimal, hexadecimal, inf).

    Raises CommandError(error) for anything else, for NaN, and where a finite text overflows or
    vanishes: strtod reports a range error there.
    """
    # Of these characters Python reads what C reads, and so few of them neither overflow nor vanish.
    if not raw.translate(None, b"0123456789.-") and len(raw) <= _DIGITS_MAX:
        try:
            return float(raw)
        except ValueError:
            raise CommandError(error) from None
    value = _strtod(raw)
    if value is None:
        raise CommandError(error)
    if not -math.inf < value < math.inf and not _INFINITY.match(raw):
        raise CommandError(error)
    if not value and not _is_zero(raw):
        raise CommandError(error)
    return value


def _strtod(raw: bytes) -> float | None:
    """The double that `raw` spells, infinity or zero where it is out of range; None for no text."""
    if _FLOAT.match(raw):
        return float(raw)
    if _INFINITY.match(raw):
        return -math.inf if raw[:1] == b"-" else math.inf
    if _HEX_FLOAT.match(raw):
        try:
            return float.fromhex(raw.decode("ascii"))
        except OverflowError:
            return -math.inf if raw[:1] == b"-" else math.inf
    return None


def _is_zero(raw: bytes) -> bool:
    """Whether a number that came out as zero is written with no digit but 0."""
    exponent = b"p" if b"x" in raw.lower() else b"e"
    return not raw.lower().partition(exponent)[0].strip(b"+-0.x")


# Most ranges have the same few ends; bounded, since others have the time of the day in them.
@lru_cache(maxsize=1024)
def parse_score_bound(raw: bytes) -> tuple[float, bool]:
    """A BYSCORE bound: the score, and whether it is exclusive (written with a parenthesis).

    Redis is more lenient here than with scores: white space before the number, nothing at all
    (zero), and numbers out of range (infinity or zero) will do, and a NUL ends the text.
    """
    usual = _USUAL.get(raw)
    if usual is not None:
        return float(usual), False
    exclusive = raw[:1] == b"("
    text = (raw[1:] if exclusive else raw).partition(b"\0")[0]
    value = _strtod(text.lstrip(b" \t\n\v\f\r")) if text else 0.0
    if value is None:
        raise CommandError(MIN_MAX_NOT_FLOAT)
    return value, exclusive


class LexBound:
    """A BYLEX bound: `-`, `+`, `[member` or `(member`."""

    __slots__ = ("exclusive", "infinite", "member")

    def __init__(self, raw: bytes) -> None:
        self.infinite = 0
        self.exclusive = raw[:1] == b"("
        self.member = raw[1:]
        if raw == b"-":
            self.infinite = -1
        elif raw == b"+":
            self.infinite = 1
        elif raw[:1] not in (b"(", b"["):
            raise CommandError(MIN_MAX_NOT_STRING)


@lru_cache(maxsize=1024)
def glob_matcher(pattern: bytes, ignore_case: bool = False) -> Callable[[bytes], object]:
    """Compile a Redis glob to a function that is truthy where the whole text matches.

    `*`, `?`, `[abc]`, `[^abc]`, `[a-z]` and backslash escapes, with Redis's readings of the odd
    cases: an unclosed class ends with the pattern, a reversed range is swapped, a trailing
    backslash stands for itself.
    """
    segments: list[list[bytes]] = [[]]
    position, size = 0, len(pattern)
    while position < size:
        char = pattern[position : position + 1]
        position += 1
        if char == b"*":
            if segments[-1] or len(segments) == 1:
                segments.append([])
        elif char == b"?":
            segments[-1].append(b".")
        elif char == b"[":
            expression, position = _glob_class(pattern, position)
            segments[-1].append(expression)
        else:
            if char == b"\\" and position < size:
                char = pattern[position : position + 1]
                position += 1
            segments[-1].append(re.escape(char))
    # A star that ends the pattern is not counted: there Redis needs not try anything.
    if len(segments) - 1 - (not segments[-1]) > _GLOB_STARS_MAX:
        return _matches_nothing
    first, *rest = (b"".join(segment) for segment in segments)
    expression = first
    if rest:
        *middle, last = rest
        expression += b"".join(b"(?>.*?%s)" % segment for segment in middle if segment)
        expression += b".*" + last
    if pattern:
        # In Redis not even a star matches the empty text.
        expression = b"(?=.)" + expression
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.compile(expression + rb"\Z", flags).match


def _matches_nothing(_text: bytes) -> object:
    return None


def _glob_class(pattern: bytes, position: int) -> tuple[bytes, int]:
    """The regular expression for the class that begins after `[`, and where it ends."""
    negated = pattern[position : position + 1] == b"^"
    if negated:
        position += 1
    size = len(pattern)
    parts: list[bytes] = []
    while position < size:
        if pattern[position : position + 1] == b"\\" and position + 1 < size:
            parts.append(re.escape(pattern[position + 1 : position + 2]))
            position += 2
        elif pattern[position : position + 1] == b"]":
            position += 1
            break
        elif pattern[position + 1 : position + 2] == b"-" and position + 2 < size:
            low, high = sorted(
                (pattern[position : position + 1], pattern[position + 2 : position + 3])
            )
            parts.append(re.escape(low) + b"-" + re.escape(high))
            position += 3
        else:
            parts.append(re.escape(pattern[position : position + 1]))
            position += 1
    if not parts:
        return (b"." if negated else b"(?!)"), position
    return b"[" + (b"^" if negated else b"") + b"".join(parts) + b"]", position


def parse_cursor(raw: bytes) -> int:
    """A SCAN cursor as C's strtoul reads it: an unsigned 64-bit decimal, signs and all."""
    if _CURSOR.match(raw):
        value = int(raw or b"0")
        if abs(value) < 2**64:
            return value % 2**64
    raise CommandError(INVALID_CURSOR)
