"""CONFIG SET port and bind move the sockets, or leave everything as it was."""

from __future__ import annotations

import socket

import pytest

from tests.redis_server import HOST
from tests.server.running import TIMEOUT_S, Peer, RunningServer

PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def moving(running: RunningServer) -> RunningServer:
    """A server that CONFIG knows the place of."""
    port = free_port()
    with running.connect() as peer:
        peer.ask(b"CONFIG SET bind %b port %d\r\n" % (HOST.encode(), port), b"+OK\r\n")
        running.settle()
    running.port = port
    return running


def test_the_port_moves(moving: RunningServer) -> None:
    former, port = moving.port, free_port()
    with moving.connect() as peer:
        peer.ask(b"CONFIG SET port %d\r\n" % port, b"+OK\r\n")
        moving.settle()
        with Peer(socket.create_connection((HOST, port), timeout=TIMEOUT_S)) as other:
            other.ask(PING, PONG)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, former), timeout=TIMEOUT_S)
        peer.ask(PING, PONG)


def test_the_port_moves_twice_at_once(moving: RunningServer) -> None:
    between, port = free_port(), free_port()
    with moving.connect() as peer:
        peer.ask(b"CONFIG SET port %d\r\nCONFIG SET port %d\r\n" % (between, port), b"+OK\r\n" * 2)
        moving.settle()
        with Peer(socket.create_connection((HOST, port), timeout=TIMEOUT_S)) as other:
            other.ask(PING, PONG)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, between), timeout=TIMEOUT_S)


def test_a_port_that_is_taken_is_refused_and_all_is_as_before(moving: RunningServer) -> None:
    with socket.create_server((HOST, 0)) as taken, moving.connect() as peer:
        port = taken.getsockname()[1]
        peer.ask(
            b"CONFIG SET maxmemory 1000 port %d\r\n" % port,
            b"-ERR CONFIG SET failed (possibly related to argument 'port') - "
            b"Unable to listen on this port. Check server logs.\r\n",
        )
        peer.ask(b"CONFIG GET maxmemory\r\n", b"*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n")
    with moving.connect() as other:
        other.ask(PING, PONG)


def test_an_address_that_is_none_is_refused(moving: RunningServer) -> None:
    with moving.connect() as peer:
        peer.ask(
            b"CONFIG SET bind 999.999.999.999\r\n",
            b"-ERR CONFIG SET failed (possibly related to argument 'bind') - "
            b"Failed to bind to specified addresses.\r\n",
        )
        # One that may be missing is missing.
        peer.ask(b'CONFIG SET bind "127.0.0.1 -999.999.999.999"\r\n', b"+OK\r\n")
    with moving.connect() as other:
        other.ask(PING, PONG)


def test_no_address_is_no_port(moving: RunningServer) -> None:
    with moving.connect() as peer:
        peer.ask(b'CONFIG SET bind ""\r\n', b"+OK\r\n")
        moving.settle()
        with pytest.raises(ConnectionRefusedError):
            moving.connect()
        peer.ask(b"CONFIG SET bind 127.0.0.1\r\n", b"+OK\r\n")
        moving.settle()
        with moving.connect() as other:
            other.ask(PING, PONG)
