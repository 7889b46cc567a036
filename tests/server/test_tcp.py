"""Connections: order, turns, messages, blocking, limits, and the end."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from cacheapp.server import connection
from cacheapp.server.listening import Listening, is_loopback
from tests.server.running import TIMEOUT_S, Peer, RunningServer

PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"


def test_a_pipeline_is_answered_in_order(running: RunningServer) -> None:
    with running.connect() as peer:
        peer.ask(
            b"SET k 1\r\nINCR k\r\nGET k\r\nGET none\r\nRESET\r\nGET k\r\n",
            b"+OK\r\n:2\r\n$1\r\n2\r\n$-1\r\n+RESET\r\n$1\r\n2\r\n",
        )


def test_what_follows_a_reply_does_not_wait_for_its_receipt(running: RunningServer) -> None:
    with running.connect() as peer:
        peer.ask(PING, PONG)
        (served,) = running.server.connections
        sock = served._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_who_keeps_a_key_hears_of_a_change_before_it_is_acknowledged(
    running: RunningServer,
) -> None:
    """Not a moment later: the message lies in the socket when the reply has been read."""
    with running.connect() as keeper, running.connect() as writer:
        keeper.send(b"HELLO 3\r\nCLIENT TRACKING ON\r\nGET k\r\nECHO @end@\r\n")
        while keeper.receive(1) != b"@":
            pass
        keeper.receive(len(b"end@\r\n"))
        keeper.sock.setblocking(False)
        writer.ask(b"SET k 1\r\n", b"+OK\r\n")
        assert keeper.sock.recv(100) == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"


def test_the_protocol_may_change_within_a_pipeline(running: RunningServer) -> None:
    with running.connect() as peer:
        peer.send(b"GET no\r\nHELLO 3\r\nGET no\r\nRESET\r\nGET no\r\nQUIT\r\n")
        replies = peer.rest()
    assert replies.startswith(b"$-1\r\n%7\r\n$6\r\nserver\r\n")
    assert replies.endswith(b"_\r\n+RESET\r\n$-1\r\n+OK\r\n")


def test_a_transaction_queues_what_has_a_shortcut(running: RunningServer) -> None:
    with running.connect() as peer:
        peer.ask(b"MULTI\r\nSET k v\r\nGET k\r\n", b"+OK\r\n+QUEUED\r\n+QUEUED\r\n")
        peer.ask(b"EXEC\r\n", b"*2\r\n+OK\r\n$1\r\nv\r\n")


def test_a_long_pipeline_lets_others_have_their_turn(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TURN_COMMANDS", 1)
    with running.connect() as peer, running.connect() as other:
        peer.send(b"ECHO a\r\n" * 5000)
        other.ask(PING, PONG)
        assert peer.receive(7 * 5000) == b"$1\r\na\r\n" * 5000


def test_all_that_came_before_the_end_is_executed(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TURN_COMMANDS", 1)
    with running.connect() as peer:
        peer.send(b"INCR n\r\n" * 2000)
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.rest().endswith(b":2000\r\n")


def test_replies_that_nobody_reads_stop_the_reader_and_lose_nothing(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "UNREAD_BYTES", 100_000)
    value = b"x" * 1_000_000
    with running.connect() as peer, running.connect() as other:
        peer.ask(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n" + value + b"\r\n", b"+OK\r\n")
        peer.send(b"GET k\r\n" * 20)
        other.ask(PING, PONG)
        running.settle()
        unread = running.in_loop(
            lambda: max(each.fields()["omem"] for each in running.server.connections)
        )
        assert unread < 10_000_000
        for _ in range(20):
            assert peer.receive(1_000_012) == b"$1000000\r\n" + value + b"\r\n"
        peer.ask(PING, PONG)


def test_messages_keep_their_place_among_replies(running: RunningServer) -> None:
    with running.connect() as subscriber, running.connect() as publisher:
        subscribed = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        subscriber.ask(b"SUBSCRIBE c\r\nPING\r\n", subscribed + b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
        publisher.ask(b"PUBLISH c m\r\nPUBLISH c n\r\n", b":1\r\n:1\r\n")
        message = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n%b\r\n"
        assert subscriber.receive(2 * len(message % b"m")) == message % b"m" + message % b"n"


def test_a_message_of_another_thread_arrives(running: RunningServer) -> None:
    engine = running.engine
    with running.connect() as subscriber:
        subscriber.send(b"HELLO 3\r\nSUBSCRIBE c\r\n")
        data = b""
        while not data.endswith(b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"):
            data += subscriber.receive(1)
        session = engine.connect(lambda _reply: None)
        assert engine.execute(session, [b"PUBLISH", b"c", b"m"]) == 1
        assert subscriber.receive(31) == b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"


def test_a_blocked_client_s_next_commands_wait(running: RunningServer) -> None:
    with running.connect() as peer, running.connect() as other:
        peer.send(b"BLPOP q 0\r\nRPUSH seen peer\r\nPING\r\n")
        other.ask(b"PING\r\nEXISTS seen\r\n", PONG + b":0\r\n")
        peer.send(PING)
        other.ask(b"RPUSH q job\r\n", b":1\r\n")
        answer = b"*2\r\n$1\r\nq\r\n$3\r\njob\r\n"
        assert peer.receive(len(answer) + 4 + 14) == answer + b":1\r\n" + PONG + PONG


def test_a_blocked_client_is_answered_when_its_time_is_up(running: RunningServer) -> None:
    with running.connect() as peer:
        peer.ask(b"BLPOP q 0.02\r\nPING\r\n", b"*-1\r\n" + PONG)
        peer.ask(b"BLPOP q 0.01\r\n", b"*-1\r\n")


def test_a_blocked_client_that_leaves_takes_nothing(running: RunningServer) -> None:
    with running.connect() as other:
        with running.connect() as peer:
            peer.send(b"BLPOP q 0\r\n")
            other.ask(PING, PONG)
        running.settle()
        other.ask(b"RPUSH q job\r\nLLEN q\r\n", b":1\r\n:1\r\n")


def test_a_blocked_client_may_not_pile_up_requests(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HELD_BYTES", 1000)
    with running.connect() as peer, running.connect() as other:
        peer.send(b"BLPOP q 0\r\n")
        sender = threading.Thread(target=peer.send, args=[PING * 200_000])
        sender.start()
        other.ask(PING, PONG)
        running.settle()
        held = running.in_loop(
            lambda: max(each.fields()["qbuf"] for each in running.server.connections)
        )
        assert held <= 1000 + 4 * connection.READ_BYTES
        other.ask(b"RPUSH q job\r\n", b":1\r\n")
        answer = b"*2\r\n$1\r\nq\r\n$3\r\njob\r\n"
        assert peer.receive(len(answer) + 7 * 200_000) == answer + PONG * 200_000
        sender.join(TIMEOUT_S)
        assert not sender.is_alive()


def test_a_subscriber_over_the_hard_limit_is_dropped() -> None:
    limits = "pubsub 100000 0 0"
    with (
        RunningServer(client_output_buffer_limit=limits) as server,
        server.connect() as subscriber,
        server.connect() as publisher,
    ):
        subscriber.ask(b"SUBSCRIBE c\r\n", b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
        message = b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$90000\r\n" + b"x" * 90_000 + b"\r\n"
        received = b":1\r\n"
        for _ in range(1000):
            publisher.send(message)
            received = publisher.receive(4)
            if received != b":1\r\n":
                break
        assert received == b":0\r\n"


def test_a_reply_over_the_hard_limit_of_normal_clients_is_not_sent() -> None:
    with (
        RunningServer(client_output_buffer_limit="normal 100000 0 0") as server,
        server.connect() as peer,
    ):
        peer.ask(b"SETRANGE k 200000 x\r\n", b":200001\r\n")
        peer.send(b"GET k\r\n")
        assert peer.rest() == b""


def test_staying_over_the_soft_limit_ends_a_connection() -> None:
    with (
        RunningServer(client_output_buffer_limit="normal 0 100000 5") as server,
        server.connect() as peer,
    ):
        peer.ask(b"SETRANGE k 9999999 x\r\n", b":10000000\r\n")
        peer.send(b"GET k\r\n" * 3)
        peer.receive(10)
        server.settle()
        (only,) = server.server.connections
        now = server.server.loop.time()
        server.in_loop(lambda: only.check(now, 0, 0))
        server.in_loop(lambda: only.check(now + 4, 0, 0))
        server.settle()
        assert server.server.connections
        server.in_loop(lambda: only.check(now + 6, 0, 0))
        server.settle()
        assert not server.server.connections


def test_an_idle_client_is_dropped_and_a_subscriber_is_not() -> None:
    with (
        RunningServer(timeout="60") as server,
        server.connect() as idle,
        server.connect() as subscriber,
    ):
        idle.ask(PING, PONG)
        subscriber.ask(b"SUBSCRIBE c\r\n", b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
        now_ms = server.engine.now_ms

        def check(later_ms: int) -> None:
            for each in list(server.server.connections):
                each.check(0.0, now_ms + later_ms, 60_000)

        server.in_loop(lambda: check(1000))
        server.in_loop(lambda: check(60_000))
        idle.ask(PING, PONG)
        server.in_loop(lambda: check(61_000))
        server.in_loop(lambda: check(121_500))
        assert idle.rest() == b""
        server.settle()
        assert len(server.server.connections) == 1


def test_clients_over_the_maximum_are_told_so() -> None:
    with RunningServer(maxclients="2") as server, server.connect() as one, server.connect() as two:
        one.ask(PING, PONG)
        two.ask(PING, PONG)
        with server.connect() as three:
            assert three.rest() == b"-ERR max number of clients reached\r\n"
        one.ask(b"CONFIG SET maxclients 3\r\n", b"+OK\r\n")
        with server.connect() as three:
            three.ask(PING, PONG)


def test_idle_clients_do_no_harm(running: RunningServer) -> None:
    peers = [running.connect() for _ in range(200)]
    with running.connect() as peer:
        peer.ask(PING, PONG)
        running.settle()
        assert len(running.server.connections) == 201
        for each in peers:
            each.sock.close()
        running.settle()
        peer.ask(PING, PONG)
    assert len(running.engine.sessions) <= 1


def test_client_list_knows_the_socket(running: RunningServer) -> None:
    with running.connect() as peer:
        local = peer.sock.getsockname()
        peer.send(b"CLIENT INFO\r\nQUIT\r\n")
        fields = dict(
            word.split("=", 1) for word in peer.rest().decode().split("\r\n")[1].split(" ")
        )
    assert fields["addr"] == f"127.0.0.1:{local[1]}"
    assert fields["laddr"] == f"127.0.0.1:{running.port}"
    assert int(fields["fd"]) > 0
    assert fields["cmd"] == "client|info"


def test_hanging_up_from_another_thread(running: RunningServer) -> None:
    with running.connect() as peer:
        peer.ask(PING, PONG)
        (session,) = running.engine.sessions.values()
        assert session.front is not None
        session.front.hang_up()
        assert peer.rest() == b""
        running.settle()
        assert not running.engine.sessions


def test_keys_expire_while_nobody_asks(running: RunningServer) -> None:
    with running.connect() as peer, running.connect() as subscriber:
        peer.ask(b"CONFIG SET notify-keyspace-events Ex\r\n", b"+OK\r\n")
        confirmed = b"*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n"
        subscriber.ask(b"PSUBSCRIBE *\r\n", confirmed)
        peer.ask(b"SET k v PX 1\r\n", b"+OK\r\n")
        event = b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$22\r\n__keyevent@0__:expired\r\n$1\r\nk\r\n"
        assert subscriber.receive(len(event)) == event


def test_the_end_writes_what_is_owed_and_closes() -> None:
    with RunningServer() as server:
        peer = server.connect()
        peer.ask(PING, PONG)
    with peer:
        assert peer.rest() == b""
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_a_unix_socket_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with RunningServer(Listening(unixsocket=str(path))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with Peer(socket.socket(socket.AF_UNIX)) as peer:
            peer.sock.connect(str(path))
            peer.ask(PING, PONG)
            peer.send(b"CLIENT LIST\r\nQUIT\r\n")
            assert f" addr={path}:0 laddr={path}:0 ".encode() in peer.rest()
    assert not path.exists()


def test_a_dead_server_s_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with RunningServer(Listening(unixsocket=str(path))):
        with pytest.raises(OSError, match="in use"), _failing(str(path)):
            pass
        assert path.exists()


def _failing(path: str) -> socket.socket:
    from cacheapp.server.listening import private_socket

    return private_socket(path)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example", False), ("", False)],
)  # fmt: skip
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("peer", "options", "refused"),
    [
        (("10.0.0.1", 5), {}, True),
        (("127.0.0.1", 5), {}, False),
        ("", {}, False),
        (("10.0.0.1", 5), {"requirepass": "x"}, False),
        (("10.0.0.1", 5), {"protected_mode": "no"}, False),
    ],
)
def test_protected_mode_refuses_strangers(
    peer: object, options: dict[str, str], refused: bool
) -> None:
    with RunningServer(**options) as server:
        assert server.server._refusal(peer).startswith(b"-DENIED") is refused


def test_the_process_s_mask_is_left_as_it_was(tmp_path: Path) -> None:
    before = os.umask(0o022)
    os.umask(before)
    with _failing(str(tmp_path / "s")):
        after = os.umask(before)
    assert after == before
