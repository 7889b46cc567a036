"""The arithmetic of INCRBYFLOAT, HINCRBYFLOAT and timeouts: C's 80-bit long double, in integers.

Redis parses with strtold, adds, and prints with `%.17Lf`, so the digits that clients see depend
on a mantissa of 64 bits. Python's float has 53. A number here is an integer mantissa and a power
of two, rounded half to even where the x87 format would round; nothing else of the format (signed
zero, the payload of NaN) can be seen in a reply, so it is left out.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from cacheapp.engine.errors import NOT_A_FLOAT, CommandError

_MANTISSA_BITS = 64
_EXPONENT_MIN = -16445
_EXPONENT_MAX = 16384 - _MANTISSA_BITS
_SHOWN_DIGITS = 17
# Texts of this many bytes do not fit Redis's buffer.
_TEXT_BYTES_MAX = 5 * 1024
# Of `short_sum`: ten digits with a sign or a point; and what a number is at most.
_SHORT_BYTES = 11
_SMALL = 16.0
# Decimal exponents beyond these are certain overflow or underflow, whatever the digits.
_DECIMAL_EXPONENT_MAX = 4933
_DECIMAL_EXPONENT_MIN = -4952

_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?\Z")
_HEXADECIMAL = re.compile(
    rb"([+-]?)0[xX](?=\.?[0-9a-fA-F])([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?[0-9]+))?\Z"
)
_INFINITY = re.compile(rb"[+-]?inf(?:inity)?\Z", re.IGNORECASE)

# mantissa and exponent of two, or None for an infinity
LongDouble = tuple[int, int] | None
ZERO: Final = (0, 0)


def parse_long_double(raw: bytes, error: str = NOT_A_FLOAT) -> LongDouble:
    """A number as strtold reads it, None for an infinity that is written as such.

    Raises CommandError(error) for anything else, NaN, and what overflows or vanishes.
    """
    match = _DECIMAL.match(raw) if len(raw) < _TEXT_BYTES_MAX else None
    if match:
        number = _from_decimal(raw, match[1])
    elif _INFINITY.match(raw):
        return None
    elif len(raw) < _TEXT_BYTES_MAX and (match := _HEXADECIMAL.match(raw)):
        number = _from_hexadecimal(*match.groups())
    else:
        number = None
    if number is None:
        raise CommandError(error)
    return number


def _from_decimal(raw: bytes, exponent: bytes | None) -> LongDouble:
    if exponent is not None and len(exponent) > 6:
        # Decimal has its own bounds; the sign of such an exponent decides, unless all is zero.
        digits = raw.lower().partition(b"e")[0]
        if digits.strip(b"+-0."):
            return None
        return ZERO
    value = Decimal(raw.decode("ascii"))
    if not value:
        return ZERO
    if not _DECIMAL_EXPONENT_MIN <= value.adjusted() <= _DECIMAL_EXPONENT_MAX:
        return None
    return _not_vanished(_divide(*value.as_integer_ratio()))


def _from_hexadecimal(
    sign: bytes, whole: bytes, fraction: bytes, exponent: bytes | None
) -> LongDouble:
    mantissa = int((whole + fraction).decode("ascii"), 16)
    if not mantissa:
        return ZERO
    if exponent is not None and len(exponent) > 6:
        return None
    power = int(exponent or b"0") - 4 * len(fraction)
    return _not_vanished(_round(-mantissa if sign == b"-" else mantissa, power, exact=True))


def _not_vanished(number: LongDouble) -> LongDouble:
    """None for a number which underflowed to zero: strtold reports a range error there too."""
    return None if number == ZERO else number


def _divide(numerator: int, denominator: int) -> LongDouble:
    """The long double nearest to a fraction; None if it overflows."""
    if denominator == 1:
        return _round(numerator, 0, exact=True)
    # Enough quotient bits that only stickiness is left to the remainder.
    shift = max(0, _MANTISSA_BITS + 2 - numerator.bit_length() + denominator.bit_length())
    quotient, remainder = divmod(abs(numerator) << shift, denominator)
    return _round(-quotient if numerator < 0 else quotient, -shift, exact=not remainder)


def _round(mantissa: int, exponent: int, *, exact: bool) -> LongDouble:
    """`mantissa * 2**exponent` in 64 bits; unless `exact`, the true value is a little larger."""
    size = abs(mantissa)
    drop = max(size.bit_length() - _MANTISSA_BITS, _EXPONENT_MIN - exponent)
    if drop > 0:
        half = 1 << (drop - 1)
        rest = size & (2 * half - 1)
        size >>= drop
        exponent += drop
        if rest > half or (rest == half and (not exact or size & 1)):
            size += 1
    if size.bit_length() + exponent > _EXPONENT_MAX + _MANTISSA_BITS:
        return None
    return (-size if mantissa < 0 else size, exponent) if size else ZERO


def add(one: LongDouble, other: LongDouble) -> LongDouble:
    """The sum, rounded to a long double; None for an infinity or NaN."""
    if one is None or other is None:
        return None
    exponent = min(one[1], other[1])
    mantissa = (one[0] << (one[1] - exponent)) + (other[0] << (other[1] - exponent))
    return _round(mantissa, exponent, exact=True)


def short_sum(one: bytes, other: bytes) -> bytes | None:
    """The sum of two numbers as `format_long_double` writes it; None where that is the only way.

    For numbers of ten digits at most, which are either 16 at most or multiples of 1/1024. Of the
    latter everything is exact. Of the former a long double is off by less than half of the last
    digit that is shown (4 * 16 / 2**64), so what is shown is the decimal sum, which has ten
    decimals at most; and those a double has too.
    """
    if len(one) > _SHORT_BYTES or len(other) > _SHORT_BYTES:
        return None
    if (one + other).translate(None, b"0123456789.-"):
        return None
    try:
        a, b = float(one), float(other)
    except ValueError:
        return None
    small = -_SMALL <= a <= _SMALL and -_SMALL <= b <= _SMALL
    if not small and not ((a * 1024.0).is_integer() and (b * 1024.0).is_integer()):
        return None
    text = (b"%.10f" % (a + b)).rstrip(b"0").rstrip(b".")
    return b"0" if text == b"-0" else text


def ceil_of_product(number: LongDouble, factor: int) -> int | None:
    """The product, rounded to a long double and then up to an integer; None for an infinity."""
    product = None if number is None else _round(number[0] * factor, number[1], exact=True)
    if product is None:
        return None
    mantissa, exponent = product
    return mantissa << exponent if exponent >= 0 else -(-mantissa >> -exponent)


def format_long_double(number: tuple[int, int]) -> bytes:
    """The text that Redis stores and answers: 17 decimals, less the zeros at their end."""
    mantissa, exponent = number
    size = abs(mantissa)
    if exponent >= 0:
        # Through Decimal: int's own conversion refuses more than 4300 digits.
        text = format(Decimal(size << exponent), "f")
    else:
        scaled = size * 10**_SHOWN_DIGITS
        whole, rest = scaled >> -exponent, scaled & ((1 << -exponent) - 1)
        half = 1 << (-exponent - 1)
        if rest > half or (rest == half and whole & 1):
            whole += 1
        digits = format(Decimal(whole), "f").rjust(_SHOWN_DIGITS + 1, "0")
        fraction = digits[-_SHOWN_DIGITS:].rstrip("0")
        text = digits[:-_SHOWN_DIGITS] + ("." + fraction if fraction else "")
    return ("-" + text if mantissa < 0 and text != "0" else text).encode("ascii")
