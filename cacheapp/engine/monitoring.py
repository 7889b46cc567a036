"""Commands that somebody looks at: for MONITOR, the slow log, LATENCY, and client tracking.

`note` is called after each command while there are monitors, and else after those that took long.
The slow log takes its arguments from where MONITOR does, so that neither shows a password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cacheapp.engine.config import ALIASES, PARAMETERS
from cacheapp.engine.replies import Status

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.session import Session

_REDACTED = b"(redacted)"
_ESCAPES = {
    ord("\\"): b"\\\\", ord('"'): b'\\"', ord("\n"): b"\\n", ord("\r"): b"\\r",
    ord("\t"): b"\\t", ord("\a"): b"\\a", ord("\b"): b"\\b",
}  # fmt: skip
_PRINTED = [
    _ESCAPES.get(byte) or (bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte)
    for byte in range(256)
]


def note(
    engine: Engine,
    session: Session,
    row: Command,
    args: list[bytes],
    started: float,
    elapsed: float,
) -> None:
    """Show a command to monitors; log it where it took long; remember the keys that it read."""
    config = engine.config
    if engine.tracking.active:
        engine.tracking.note(session, row, args)
    shown = redacted(row.name, args)
    # Scripts were shown before they ran, but not those of a transaction.
    shown_before = "skip_monitor" in row.flags and session.queue is None
    if engine.monitors and "admin" not in row.flags and not shown_before:
        show(engine, session, shown, started)
    duration_us = int(elapsed * 1_000_000)
    is_slow = 0 <= config["slowlog-log-slower-than"] <= duration_us
    if is_slow and "skip_slowlog" not in row.flags:
        waiter = engine.waiters.by_session.get(session)
        if waiter is not None:
            # Logged when it is done, with the time that it has worked.
            waiter.slow = duration_us, shown
            return
        log_slow(engine, session, duration_us, shown)
    took(engine, b"fast-command" if "fast" in row.flags else b"command", elapsed)


def log_slow(engine: Engine, session: Session, duration_us: int, shown: list[bytes]) -> None:
    """Enter a command into the slow log; `shown` are its arguments without secrets."""
    address = "?:0" if session.is_script else session.address
    engine.slowlog.add(engine.now, duration_us, shown, address, session.name)
    engine.slowlog.trim(engine.config["slowlog-max-len"])


def took(engine: Engine, event: bytes, seconds: float) -> None:
    """Let LATENCY know of an event, where it took long enough."""
    if 0 < engine.config["latency-monitor-threshold"] <= int(seconds * 1000):
        engine.latency.add(event, engine.now, int(seconds * 1000))


def show(engine: Engine, session: Session, args: list[bytes], started: float) -> None:
    """Send the line of a command to all monitors."""
    client = "lua" if session.is_script else session.address
    line = Status(monitor_line(started, session.db.index, client, args))
    for monitor in list(engine.monitors):
        monitor.deliver(line)


def monitor_line(now: float, db_index: int, client: str, args: list[bytes]) -> bytes:
    """A command as MONITOR prints it; `client` is its address, or `lua` for a script's."""
    microseconds = int(now * 1_000_000)
    head = b"%d.%06d [%d %b]" % (*divmod(microseconds, 1_000_000), db_index, client.encode())
    printed = (b"".join(map(_PRINTED.__getitem__, arg)) for arg in args)
    return head + b"".join(b' "%b"' % arg for arg in printed)


def redacted(name: str, args: list[bytes]) -> list[bytes]:
    """`args` of the command `name` (upper case, `A|B` for a child) without what is secret."""
    if name == "AUTH":
        return [args[0], *[_REDACTED] * (len(args) - 1)]
    if name == "ACL|SETUSER":
        return [*args[:2], *[_REDACTED] * (len(args) - 2)]
    if name == "HELLO":
        words = [arg.upper() for arg in args]
        if b"AUTH" in words[2:]:
            start = words.index(b"AUTH", 2) + 1
            return [
                _REDACTED if start <= index < start + 2 else arg for index, arg in enumerate(args)
            ]
    if name == "MIGRATE":
        return _redacted_migrate(args)
    if name == "CONFIG|SET":
        return [
            _REDACTED if index > 2 and index % 2 and _is_secret(args[index - 1]) else arg
            for index, arg in enumerate(args)
        ]
    return args


def _redacted_migrate(args: list[bytes]) -> list[bytes]:
    shown = args[:6]
    secrets = 0
    for arg in args[6:]:
        shown.append(_REDACTED if secrets else arg)
        secrets = secrets - 1 if secrets else {b"AUTH": 1, b"AUTH2": 2}.get(arg.upper(), 0)
    return shown


def _is_secret(parameter: bytes) -> bool:
    name = parameter.decode("latin-1").lower()
    row = PARAMETERS.get(ALIASES.get(name, name))
    return row is not None and row.secret
