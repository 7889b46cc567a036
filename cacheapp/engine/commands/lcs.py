"""LCS: the longest common subsequence of two strings.

Redis fills a table of one cell a pair of bytes. Here a row of that table is one integer with a
bit a byte of the second string, set where the cell is larger than its left neighbour (Hyyrö,
"Bit-parallel LCS-length computation revisited", 2004). A row costs one addition, and the way back
needs no more than those bits. The limit on the sizes is Redis's, in cells of four bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session
from cacheapp.engine.values import STRING, string_bytes

_CELL_BYTES = 4

# first and last position in the first string, the same in the second
Match = tuple[int, int, int, int]


@command(
    "LCS", arity=-3, flags="readonly", keys=(1, 2, 1), key_flags="RO access", group="string",
    since="7.0.0", complexity="O(N*M)", summary="Finds the longest common substring.", shaped=True,
)  # fmt: skip
def lcs(ctx: Session, first_key: bytes, second_key: bytes, *options: bytes) -> Reply:
    first, second = _strings(ctx, first_key, second_key)
    wants_matches, wants_length, wants_sizes, size_min = _options(options)
    if wants_matches and wants_length:
        raise CommandError("ERR If you want both the length and indexes, please just use IDX.")
    limit = ctx.engine.config["proto-max-bulk-len"]
    if (len(first) + 1) * (len(second) + 1) * _CELL_BYTES > limit:
        raise CommandError(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
        )
    rows = _rows(first, second)
    if wants_length:
        return rows[-1].bit_count()
    matches = list(_matches(first, second, rows))
    if not wants_matches:
        return b"".join(first[start : end + 1] for start, end, _, _ in reversed(matches))
    shown: list[Reply] = []
    for start, end, other_start, other_end in matches:
        size = end - start + 1
        if size >= size_min:
            pair: list[Reply] = [[start, end], [other_start, other_end]]
            shown.append([*pair, size] if wants_sizes else pair)
    return {b"matches": shown, b"len": rows[-1].bit_count()}


def _strings(ctx: Session, first_key: bytes, second_key: bytes) -> tuple[bytes, bytes]:
    values = ctx.db.get(first_key), ctx.db.get(second_key)
    if any(value is not None and not isinstance(value, STRING) for value in values):
        raise CommandError("ERR The specified keys must contain string values")
    first, second = (b"" if value is None else string_bytes(value) for value in values)
    return first, second


def _options(options: tuple[bytes, ...]) -> tuple[bool, bool, bool, int]:
    """IDX, LEN, WITHMATCHLEN, and the number after MINMATCHLEN."""
    flags, size_min = set(), 0
    words = iter(options)
    for word in words:
        option = word.upper()
        if option in (b"IDX", b"LEN", b"WITHMATCHLEN"):
            flags.add(option)
        elif option == b"MINMATCHLEN" and (raw := next(words, None)) is not None:
            size_min = parse_int(raw)
        else:
            raise CommandError(SYNTAX)
    return b"IDX" in flags, b"LEN" in flags, b"WITHMATCHLEN" in flags, size_min


def _rows(first: bytes, second: bytes) -> list[int]:
    """The rows of the table, from the one of the empty prefix of `first` on."""
    positions: dict[int, int] = {}
    for position, byte in enumerate(second):
        positions[byte] = positions.get(byte, 0) | 1 << position
    every = (1 << len(second)) - 1
    falling = every
    rows = [0]
    for byte in first:
        shared = falling & positions.get(byte, 0)
        falling = ((falling + shared) | (falling - shared)) & every
        rows.append(falling ^ every)
    return rows


def _matches(first: bytes, second: bytes, rows: list[int]) -> Iterator[Match]:
    """The stretches that Redis's walk through the table finds, from the end of the strings on."""
    i, j = len(first), len(second)
    end = None
    while i and j:
        if first[i - 1] == second[j - 1]:
            if end is None:
                end = (i - 1, j - 1)
            i -= 1
            j -= 1
            if i and j:
                continue
        start = (i, j)
        if end is not None:
            yield start[0], end[0], start[1], end[1]
            end = None
        elif rows[i] >> (j - 1) & 1:
            i -= 1
        else:
            j -= 1
