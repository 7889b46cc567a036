"""MIGRATE's connection to another server: requests out, the first line of each reply back.

It blocks, and so does everything else meanwhile: as in Redis, no client may see a key in both
places or in none. The timeout is for each wait, not for the whole.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

from cacheapp.engine.transfer import Request, TransferError

# What an answer of one line may have, with its end.
_LINE_BYTES_MAX = 1024


def transfer(host: bytes, port: bytes, requests: Sequence[Request], timeout_ms: int) -> list[bytes]:
    """Send `requests` to a server and return a line for each; raises TransferError."""
    timeout_s = timeout_ms / 1000
    try:
        address = host.decode("ascii"), int(port)
        connection = socket.create_connection(address, timeout_s)
    except ConnectionError as error:
        # Redis only notices a refusal when it writes.
        raise TransferError("writing") from error
    except (OSError, OverflowError, ValueError) as error:
        raise TransferError("connecting") from error
    with contextlib.closing(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection.sendall(b"".join(map(_packed, requests)))
        except OSError as error:
            raise TransferError("writing") from error
        return _lines(connection, len(requests))


def _packed(request: Request) -> bytes:
    parts = [b"*%d\r\n" % len(request)]
    parts += (b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in request)
    return b"".join(parts)


def _lines(connection: socket.socket, count: int) -> list[bytes]:
    lines: list[bytes] = []
    with connection.makefile("rb") as stream:
        for _ in range(count):
            try:
                line = stream.readline(_LINE_BYTES_MAX)
            except OSError as error:
                raise TransferError("reading", lines) from error
            if not line.endswith(b"\n"):
                raise TransferError("reading", lines)
            lines.append(line.rstrip(b"\r\n"))
    return lines
