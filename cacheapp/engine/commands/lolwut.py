"""LOLWUT: the version, drawn large enough to be read across a room.

VERSION chooses a program in Redis, of which 5 and 6 draw, each a picture of its own. Here both
draw the same one.
"""

from __future__ import annotations

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply, Verbatim
from cacheapp.engine.session import Session
from cacheapp.engine.version import REDIS_VERSION

# Rows of three bits, of five lines each.
_DIGITS = {
    "0": 0o75557, "1": 0o26227, "2": 0o71747, "3": 0o71717, "4": 0o55711,
    "5": 0o74717, "6": 0o74757, "7": 0o71111, "8": 0o75757, "9": 0o75717, ".": 0o00002,
}  # fmt: skip
_LINES = 5
_DRAWN = (5, 6)


@command(
    "LOLWUT", arity=-1, flags="readonly fast", group="server", since="5.0.0", complexity="",
    summary="Displays computer art and the Redis version.", shaped=True,
)  # fmt: skip
def lolwut(_ctx: Session, *options: bytes) -> Reply:
    version = f"Redis ver. {REDIS_VERSION}\n"
    chosen = 0
    if len(options) > 1 and options[0].upper() == b"VERSION":
        chosen, *_sizes = map(parse_int, options[1:])
    if chosen not in _DRAWN:
        return Verbatim(version.encode())
    lines = [
        "  ".join(_row(_DIGITS[digit], line) for digit in REDIS_VERSION) for line in range(_LINES)
    ]
    return Verbatim(("\n".join(lines) + f"\n\n{version}").encode())


def _row(digit: int, line: int) -> str:
    bits = digit >> 3 * (_LINES - 1 - line) & 7
    return "".join("#" if bits & 4 >> column else " " for column in range(3))
