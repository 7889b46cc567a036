"""A selection of commands through a socket, as stock clients and Redis's own tools send them.

What commands answer is the contract tests' matter; this is about the way there and back.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import pytest
import redis
import redis.asyncio

from tests.raw import ReplyError, SocketRaw
from tests.redis_server import HOST
from tests.server.running import RunningServer

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])


@PROTOCOLS
def test_shapes_of_replies(running: RunningServer, protocol: int) -> None:
    raw = SocketRaw(HOST, running.port, protocol)
    assert raw.execute("SET", "s", b"\x00\r\n\xff") == b"OK"
    assert raw.execute("GET", "s") == b"\x00\r\n\xff"
    assert raw.execute("GET", "none") is None
    assert raw.execute("INCRBYFLOAT", "f", "1.5") == b"1.5"
    raw.execute("HSET", "h", "a", 1, "b", 2)
    flat = raw.execute("HGETALL", "h")
    assert flat == ({b"a": b"1", b"b": b"2"} if protocol == 3 else [b"a", b"1", b"b", b"2"])
    raw.execute("ZADD", "z", 1.5, "m")
    assert raw.execute("ZSCORE", "z", "m") == (1.5 if protocol == 3 else b"1.5")
    raw.execute("SADD", "t", "x")
    assert list(raw.execute("SMEMBERS", "t")) == [b"x"]
    assert b"redis_version:" in raw.execute("INFO", "server")
    with pytest.raises(ReplyError, match=r"^WRONGTYPE "):
        raw.execute("INCR", "h")
    raw.execute("MULTI")
    raw.execute("INCR", "h")
    raw.execute("PING")
    failed, pong = raw.execute("EXEC")
    assert (type(failed), pong) == (ReplyError, b"PONG")
    raw.close()


@PROTOCOLS
def test_redis_py_with_pipelines_scripts_locks_and_pubsub(
    running: RunningServer, protocol: int
) -> None:
    with redis.Redis(host=HOST, port=running.port, protocol=protocol) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(3000):
            pipe.set(f"k{number}", b"x" * (number % 700))
            pipe.get(f"k{number}")
        assert pipe.execute()[1::2] == [b"x" * (number % 700) for number in range(3000)]
        assert client.eval("return {KEYS[1], ARGV[1]}", 1, "k", "v") == [b"k", b"v"]
        with client.lock("lock", timeout=10):
            assert client.exists("lock") == 1
        with client.pubsub() as pubsub:
            pubsub.subscribe("c")
            assert pubsub.get_message(timeout=5)["type"] == "subscribe"
            client.publish("c", "m")
            assert pubsub.get_message(timeout=5)["data"] == b"m"


async def test_asyncio_clients_of_redis_py(running: RunningServer) -> None:
    async with redis.asyncio.Redis(host=HOST, port=running.port) as client:
        waiting = asyncio.create_task(client.blpop("q", timeout=5))
        await client.rpush("q", "job")
        assert await waiting == [b"q", b"job"] or waiting.result() == (b"q", b"job")
        assert await asyncio.gather(*[client.incr("n") for _ in range(50)])
        assert await client.get("n") == b"50"


def tool(name: str, *arguments: str, stdin: bytes = b"") -> str:
    """The output of one of Redis's own programs."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"no {name} binary on this machine")
    done = subprocess.run(
        [program, *arguments], input=stdin, capture_output=True, check=True, timeout=30
    )
    return done.stdout.decode()


@pytest.mark.parametrize("dialect", [[], ["-3"]])
def test_redis_cli(running: RunningServer, dialect: list[str]) -> None:
    port = ["-p", str(running.port), *dialect]
    assert tool("redis-cli", *port, "SET", "k", "a b") == "OK\n"
    assert tool("redis-cli", *port, "GET", "k") == "a b\n"
    script = b'HSET h f "v w"\nHGETALL h\nnonsense\nQUIT\n'
    output = tool("redis-cli", *port, stdin=script)
    assert "v w" in output
    assert "unknown command 'nonsense'" in output


def test_redis_cli_pipe(running: RunningServer) -> None:
    mass = b"".join(
        b"*3\r\n$3\r\nSET\r\n$%d\r\n%d\r\n$1\r\nv\r\n" % (len(str(number)), number)
        for number in range(20_000)
    )
    output = tool("redis-cli", "-p", str(running.port), "--pipe", stdin=mass)
    assert "errors: 0, replies: 20000" in output
    assert tool("redis-cli", "-p", str(running.port), "DBSIZE") == "20000\n"


def test_redis_benchmark(running: RunningServer) -> None:
    port = ["-p", str(running.port), "-q", "-n", "500", "-c", "10", "-P", "5"]
    output = tool("redis-benchmark", *port, "-t", "ping,set,get,incr,lpush,rpop,sadd,hset,zadd")
    assert output.count("requests per second") == 10
    assert "rror" not in output


def test_shutdown_ends_a_server(running: RunningServer) -> None:
    ended = []
    running.engine.end_process = lambda: ended.append(True)
    with running.connect() as peer:
        peer.ask(b"SHUTDOWN SAVE\r\n", b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n")
        peer.send(b"SHUTDOWN\r\nPING\r\n")
        assert peer.rest() == b""
    assert ended == [True]


def test_shutdown_leaves_an_engine_in_the_process_of_its_clients(running: RunningServer) -> None:
    assert running.engine.end_process is None
    with running.connect() as peer:
        peer.send(b"SHUTDOWN NOSAVE\r\n")
        assert peer.receive(5) == b"-ERR "


def test_bytes_and_commands_are_counted(running: RunningServer) -> None:
    with running.connect() as peer:
        peer.ask(b"CONFIG RESETSTAT\r\n", b"+OK\r\n")
        peer.ask(b"ECHO hello\r\n", b"$5\r\nhello\r\n")
    stats = running.engine.stats
    running.settle()
    assert stats.net_input_bytes == len(b"ECHO hello\r\n")
    assert stats.net_output_bytes == len(b"+OK\r\n$5\r\nhello\r\n")
    assert (stats.reads, stats.writes) == (1, 2)


def test_monitor_shows_a_command_as_it_was_spelled(running: RunningServer) -> None:
    with running.connect() as monitor, running.connect() as peer:
        monitor.ask(b"MONITOR\r\n", b"+OK\r\n")
        peer.ask(b"set k v\r\nSET k v\r\nget k\r\n", b"+OK\r\n+OK\r\n$1\r\nv\r\n")
        lines = b""
        while lines.count(b"\n") < 3:
            lines += monitor.sock.recv(1000)
    assert [line.split(b'"')[1] for line in lines.splitlines()] == [b"set", b"SET", b"get"]


def test_client_list_knows_the_request_that_is_served(running: RunningServer) -> None:
    request = b"*2\r\n$6\r\nclient\r\n$4\r\ninfo\r\n"
    with running.connect() as peer:
        peer.send(request)
        assert b" qbuf=%d " % len(request) in peer.sock.recv(1000)


def test_resp3_has_attributes_and_big_numbers() -> None:
    with RunningServer(enable_debug_command="yes") as running, running.connect() as peer:
        number = b"1234567999999999999999999999999999999"
        text = b"Some real reply following the attribute"
        peer.ask(b"DEBUG PROTOCOL bignum\r\n", b"$37\r\n" + number + b"\r\n")
        peer.ask(b"DEBUG PROTOCOL attrib\r\n", b"$39\r\n" + text + b"\r\n")
        peer.send(b"HELLO 3\r\n")
        running.settle()
        peer.sock.recv(1000)
        peer.ask(b"DEBUG PROTOCOL bignum\r\n", b"(" + number + b"\r\n")
        peer.ask(
            b"DEBUG PROTOCOL attrib\r\n",
            b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\n"
            + text
            + b"\r\n",
        )


@pytest.mark.parametrize("command", ["HRANDFIELD hash", "SRANDMEMBER set", "ZRANDMEMBER zset"])
def test_a_reply_beyond_all_limits_is_not_made(command: str) -> None:
    limits = "normal 1000000 0 0"
    with RunningServer(client_output_buffer_limit=limits) as running, running.connect() as peer:
        peer.ask(b"HSET hash a b\r\nSADD set a\r\nZADD zset 1 a\r\n", b":1\r\n" * 3)
        peer.ask(b"%b -2\r\n" % command.encode(), b"*2\r\n$1\r\na\r\n$1\r\na\r\n")
        peer.send(b"%b -999999999\r\n" % command.encode())
        assert peer.rest() == b""
