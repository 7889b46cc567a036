"""Several commands in one round trip over a connection of redis-py, as one MULTI or each alone.

redis-py's pipeline makes objects, stacks and closures for what is, on the wire, a few commands in
one packet; a cache write with its announcement is such a packet. Left out on purpose: WATCH, and
whatever else a pipeline can do between its commands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ExecAbortError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.utils import HIREDIS_AVAILABLE

from cacheapp.clients.bytelevel import Commands

if HIREDIS_AVAILABLE:
    from hiredis import pack_command

__all__ = ["broken", "exchange_all", "pack_all", "transaction", "transaction_replies"]

# Packed, since each cache write that is announced sends them.
_MULTI = b"*1\r\n$5\r\nMULTI\r\n"
_EXEC = b"*1\r\n$4\r\nEXEC\r\n"

Packed = Sequence[Any]


def exchange_all(
    connection: Any, commands: Packed, look_out: Callable[[Any], None] | None = None
) -> list[Any]:
    """Send ``commands`` at once over a lean connection; return the replies, errors as exceptions.

    ``look_out(connection)`` is called between the two. Raises redis-py's ConnectionError or
    TimeoutError after closing the connection; whatever else interrupts it closes it as well, so
    that no reply is left for the next caller.
    """
    packed = pack_all(commands)
    if connection._sock is None:
        connection.connect_check_health(check_health=False)
    sock = connection._sock
    replies: list[Any] = []
    try:
        sock.sendall(packed)
        if look_out is not None:
            look_out(connection)
        parser = connection._parser
        reader = parser._reader
        buffer = parser._buffer
        pushed = parser._hiredis_PushNotificationType
        missing = len(commands)
        while True:
            reply = reader.gets()
            if reply is NOT_ENOUGH_DATA:
                size = sock.recv_into(buffer)
                if size == 0:
                    raise RedisConnectionError("Connection closed by server.")
                reader.feed(buffer, 0, size)
            elif type(reply) is pushed:
                parser.handle_push_response(reply)
            else:
                replies.append(reply)
                missing -= 1
                if not missing:
                    break
    except OSError as error:
        raise broken(connection, error) from error
    except BaseException:
        connection.disconnect()
        raise
    return replies


def broken(connection: Any, error: OSError) -> RedisError:
    """Close a sync connection whose socket raised `error`; what redis-py would raise for it."""
    connection.disconnect()
    where = connection._host_error()
    if isinstance(error, TimeoutError):
        return RedisTimeoutError(f"Timeout reading from {where}")
    return RedisConnectionError(f"Error while reading from {where} : {error.args}")


def pack_all(commands: Packed) -> bytes:
    """Return the bytes of commands, each a tuple or packed already."""
    return b"".join(
        [command if isinstance(command, bytes) else pack_command(command) for command in commands]
    )


def transaction(commands: Commands) -> Packed:
    """Return ``commands`` between MULTI and EXEC."""
    return [_MULTI, *commands, _EXEC]


def transaction_replies(replies: list[Any]) -> list[Any]:
    """Return what EXEC replied, of all replies to a ``transaction``; errors in it as exceptions.

    Raises the error with which a command was refused: then none was run.
    """
    results = replies[-1]
    if isinstance(results, list):
        return results
    refused = next((reply for reply in replies[:-1] if isinstance(reply, RedisError)), results)
    if isinstance(refused, RedisError):
        raise refused
    raise (
        ExecAbortError(f"EXEC replied {results!r}")
        if results is None
        else ResponseError(f"EXEC replied {results!r}")
    )
