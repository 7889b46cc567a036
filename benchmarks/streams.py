"""A stream of a million entries beside one of a thousand: adding, and reading the newest."""

from __future__ import annotations

from benchmarks.measure import compare
from benchmarks.report import Row, row
from cacheapp.engine.engine import Engine

SHORT, LONG = 1_000, 1_000_000
TARGET = 1.5
_ENTRY = [b"*", b"field", b"value"]


def measure(*, quick: bool = False) -> list[Row]:
    """XADD, and XREAD of the newest entry."""
    long = LONG // 10 if quick else LONG
    engine = Engine()
    session = engine.connect(lambda reply: None)
    execute = engine.execute
    newest = {}
    for key, size in ((b"short", SHORT), (b"long", long)):
        for _ in range(size):
            execute(session, [b"XADD", key, *_ENTRY])
        last_id = execute(session, [b"XADD", key, *_ENTRY])
        execute(session, [b"XADD", key, *_ENTRY])
        # A stream of its own to read, so that the newest stays the newest.
        newest[key] = [b"XREAD", b"COUNT", b"1", b"STREAMS", key + b":read", last_id]
        execute(session, [b"COPY", key, key + b":read"])
    adding = compare(
        {key.decode(): (lambda key=key: execute(session, [b"XADD", key, *_ENTRY]))
         for key in newest}
    )  # fmt: skip
    reading = compare(
        {key.decode(): (lambda args=args: execute(session, args))
         for key, args in newest.items()}
    )  # fmt: skip
    depth = f"{long:,} entries"
    return [
        row(f"XADD to a stream of {depth}", adding["long"], adding["short"], TARGET),
        row(f"XREAD of the newest of {depth}", reading["long"], reading["short"], TARGET),
    ]
