"""Arguments that several groups of commands share: of scans, of random picks, of counted keys.

The scans take the same options, SCAN itself one more; HRANDFIELD, SRANDMEMBER and ZRANDMEMBER
read their count alike; and several commands say how many keys follow.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from cacheapp.engine.arguments import INT64_MAX, glob_matcher, parse_int
from cacheapp.engine.errors import (
    NOVALUES_OUTSIDE_HSCAN,
    SYNTAX,
    VALUE_OUT_OF_RANGE,
    CommandError,
)

# How many elements a SCAN call is asked for if it does not say.
_COUNT_DEFAULT = 10
# Repeated picks in one reply. Redis has no bound and runs out of memory instead.
_REPEATS_MAX = 2**26

Matcher = Callable[[bytes], object]


def scan_options(options: tuple[bytes, ...]) -> tuple[int, Matcher | None]:
    """COUNT, and MATCH as a function (None: everything matches)."""
    count, matches, _ = typed_scan_options(options, allow_type=False)
    return count, matches


def hash_scan_options(options: tuple[bytes, ...]) -> tuple[int, Matcher | None, bool]:
    """As `scan_options`, and whether HSCAN was asked for the fields alone (NOVALUES)."""
    rest: list[bytes] = []
    names_only = False
    words = iter(options)
    for word in words:
        if word.upper() == b"NOVALUES":
            names_only = True
        else:
            rest += (word, *islice(words, 1))
    return *scan_options(tuple(rest)), names_only


def typed_scan_options(
    options: tuple[bytes, ...], *, allow_type: bool = True
) -> tuple[int, Matcher | None, bytes | None]:
    """As `scan_options`, and the name of TYPE in lower case (None: every type)."""
    count, matches, wanted = _COUNT_DEFAULT, None, None
    words = iter(options)
    for word in words:
        option, argument = word.upper(), next(words, None)
        if option == b"NOVALUES":
            raise CommandError(NOVALUES_OUTSIDE_HSCAN)
        if argument is None:
            raise CommandError(SYNTAX)
        if option == b"COUNT":
            count = parse_int(argument)
            if count < 1:
                raise CommandError(SYNTAX)
        elif option == b"MATCH":
            matches = None if argument == b"*" else glob_matcher(argument)
        elif option == b"TYPE" and allow_type:
            wanted = argument.lower()
        else:
            raise CommandError(SYNTAX)
    return count, matches, wanted


def random_count(raw: bytes, options: tuple[bytes, ...], paired: bytes) -> tuple[int, bool]:
    """The count of a random command (negative: with repetition), and whether `paired` was asked.

    `paired` is the option, in upper case, that adds a value or score to each element; empty for a
    command without one.
    """
    count = parse_int(raw)
    if count < -INT64_MAX:
        raise CommandError(f"{VALUE_OUT_OF_RANGE}, value must between {-INT64_MAX} and {INT64_MAX}")
    if not options:
        return count, False
    if len(options) > 1 or not paired or options[0].upper() != paired:
        raise CommandError(SYNTAX)
    if abs(count) > INT64_MAX // 2:
        raise CommandError(VALUE_OUT_OF_RANGE)
    return count, True


def picks(count: int) -> tuple[int, bool]:
    """How many elements a count asks for, and whether they may repeat.

    Raises CommandError for more repetitions than a reply should hold.
    """
    if count < -_REPEATS_MAX:
        raise CommandError(VALUE_OUT_OF_RANGE)
    return abs(count), count < 0
