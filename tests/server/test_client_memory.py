"""`maxmemory-clients`: what clients' buffers may take, and who is dropped first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.running import Peer, RunningServer

LIMIT = 300_000


@pytest.fixture
def control(running: RunningServer) -> Iterator[Peer]:
    """A client that is not counted."""
    with running.connect() as peer:
        peer.ask(b"CLIENT NO-EVICT on\r\n", b"+OK\r\n")
        yield peer


def limit(control: Peer, text: str) -> None:
    control.ask(b"CONFIG SET maxmemory-clients %b\r\n" % text.encode(), b"+OK\r\n")


def evicted(running: RunningServer) -> int:
    return running.engine.stats.evicted_clients


def half_a_request(peer: Peer, size: int) -> None:
    """Send `size` bytes of an argument that is longer."""
    peer.send(b"*2\r\n$3\r\nGET\r\n$%d\r\n" % (2 * size) + b"x" * size)


def held(running: RunningServer) -> list[int]:
    return sorted(each.fields()["qbuf"] for each in running.server.connections)


def wait_until_held(running: RunningServer, total: int) -> None:
    while sum(held(running)) < total:
        running.settle()


def test_a_long_request_is_the_end_of_its_client(running: RunningServer, control: Peer) -> None:
    limit(control, str(LIMIT))
    with running.connect() as peer:
        peer.ask(b"PING\r\n", b"+PONG\r\n")
        peer.send(b"*1\r\n$%d\r\n" % (2 * LIMIT) + b"x" * 2 * LIMIT)
        assert peer.rest() == b""
    assert evicted(running) == 1
    control.ask(b"PING\r\n", b"+PONG\r\n")


def test_a_long_transaction_too(running: RunningServer, control: Peer) -> None:
    limit(control, str(LIMIT))
    with running.connect() as peer:
        peer.ask(b"MULTI\r\n", b"+OK\r\n")
        command = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n" + b"x" * 100_000 + b"\r\n"
        peer.ask(command * 2, b"+QUEUED\r\n" * 2)
        peer.send(command * 2)
        assert peer.rest() == b""
    assert evicted(running) == 1


@pytest.mark.parametrize(
    "command",
    [b"WATCH", b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"CLIENT TRACKING ON BCAST PREFIX"],
)
def test_what_a_client_watches_counts(
    running: RunningServer, control: Peer, command: bytes
) -> None:
    limit(control, str(LIMIT))
    with running.connect() as peer:
        peer.send(b"".join(b"%b %05d\r\n" % (command, number) for number in range(4000)))
        assert len(peer.rest()) < 4000 * 40
    assert evicted(running) == 1


def test_those_that_take_most_go_first_and_no_more_than_needed(
    running: RunningServer, control: Peer
) -> None:
    limit(control, "0")
    sizes = [150_000, 50_000, 100_000]
    peers = [running.connect() for _ in sizes]
    for peer, size in zip(peers, sizes, strict=True):
        half_a_request(peer, size)
    wait_until_held(running, sum(sizes))
    limit(control, "200000")
    assert peers[0].rest() == b""
    running.settle()
    assert evicted(running) == 1
    for peer in peers:
        peer.sock.close()


def test_a_share_of_maxmemory(running: RunningServer, control: Peer) -> None:
    control.ask(b"CONFIG SET maxmemory 6mb maxmemory-clients 5%\r\n", b"+OK\r\n")
    with running.connect() as small, running.connect() as large:
        half_a_request(small, 100_000)
        wait_until_held(running, 100_000)
        half_a_request(large, 400_000)
        assert large.rest() == b""
        running.settle()
        assert evicted(running) == 1


def test_some_are_not_to_be_evicted(running: RunningServer, control: Peer) -> None:
    limit(control, str(LIMIT))
    with running.connect() as peer:
        peer.ask(b"CLIENT NO-EVICT on\r\n", b"+OK\r\n")
        half_a_request(peer, 2 * LIMIT)
        wait_until_held(running, 2 * LIMIT)
        assert evicted(running) == 0
        control.ask(b"PING\r\n", b"+PONG\r\n")


def test_what_a_client_does_not_read_counts(running: RunningServer, control: Peer) -> None:
    limit(control, str(LIMIT))
    control.ask(b"SETRANGE k 200000 v\r\n", b":200001\r\n")
    with running.connect() as peer:
        while not evicted(running):
            try:
                peer.send(b"GET k\r\n")
            except OSError:
                break
            running.settle()
        running.settle()
    assert evicted(running) == 1
