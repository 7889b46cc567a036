"""What MONITOR shows: the line of a command, and which of its arguments are secrets.

The slow log takes its arguments from here too, so that neither shows a password.
"""

from __future__ import annotations

from cacheapp.engine.config import ALIASES, PARAMETERS

_REDACTED = b"(redacted)"
_ESCAPES = {
    ord("\\"): b"\\\\", ord('"'): b'\\"', ord("\n"): b"\\n", ord("\r"): b"\\r",
    ord("\t"): b"\\t", ord("\a"): b"\\a", ord("\b"): b"\\b",
}  # fmt: skip
_PRINTED = [
    _ESCAPES.get(byte) or (bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte)
    for byte in range(256)
]


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
