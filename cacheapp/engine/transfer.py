"""How MIGRATE reaches another server: what a front with sockets offers the engine.

The engine knows no sockets. A front sets `Engine.transfer` to a function that sends requests and
collects the first line of each reply; without one there is no MIGRATE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Request = Sequence[bytes]
# From host, port, requests and the milliseconds that each wait may take, to a line a request.
Transfer = Callable[[bytes, bytes, Sequence[Request], int], list[bytes]]


class TransferError(Exception):
    """The connection failed or took too long; `replies` are the lines that came before.

    The text says what was tried: "connecting", "writing", "reading".
    """

    def __init__(self, stage: str, replies: Sequence[bytes] = ()) -> None:
        super().__init__(stage)
        self.stage = stage
        self.replies = list(replies)
