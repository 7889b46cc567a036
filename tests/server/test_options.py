"""The command line: what it refuses, and both ways to start the server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import ConfigError
from cacheapp.server.__main__ import main
from cacheapp.server.listening import Listening
from cacheapp.server.options import add_arguments, at_home, engine_options, listening
from tests.redis_server import HOST
from tests.server.running import TIMEOUT_S, Peer, RunningServer

ROOT = Path(__file__).resolve().parents[2]


def given(*arguments: str) -> argparse.Namespace:
    """Parsed arguments."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def place(*arguments: str) -> Listening:
    """Where the server would listen."""
    parsed = given(*arguments)
    return listening(parsed, Engine(engine_options(parsed)))


def test_the_defaults_are_loopback_and_a_port_beside_redis_s() -> None:
    assert engine_options(given()) == {"bind": "127.0.0.1", "port": "6380"}


def test_flags_and_options_by_name(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s p\nnot this\n")
    options = engine_options(
        given("--bind", "127.0.0.1", "--bind", "::1", "--port", "7000", "--unixsocket", "/tmp/x",
              "--requirepass-file", str(secret), "maxmemory=1mb", "save=")
    )  # fmt: skip
    assert options == {
        "bind": "127.0.0.1 ::1", "port": "7000", "unixsocket": "/tmp/x", "requirepass": "s p",
        "maxmemory": "1mb", "save": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--bind", "0.0.0.0"], "can be reached from other machines"),
        (["--bind", "::"], "can be reached from other machines"),
        (["--bind", "127.0.0.1", "--bind", "10.0.0.1"], r"^10\.0\.0\.1 can be reached"),
        (["--port", "0"], "nowhere to listen"),
        (["--port", "x"], "couldn't be parsed into an integer"),
        (["--port", "70000"], "must be between"),
        (["maxmemory"], "'maxmemory' is not option=value"),
        (["maxmemry=1"], "did you mean 'maxmemory'"),
        (["--tls-key-file", "x"], "TLS needs --tls-cert-file"),
    ],
)
def test_what_is_refused(arguments: list[str], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        place(*arguments)


def test_strangers_are_let_in_with_a_password_or_when_it_is_said_so() -> None:
    assert place("--bind", "0.0.0.0", "requirepass=x")
    assert place("--bind", "0.0.0.0", "protected-mode=no")
    assert place("--port", "0", "--unixsocket", "x")


def test_a_server_that_cannot_start_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bind", "0.0.0.0"]) == 1
    assert "can be reached from other machines" in capsys.readouterr().err
    with socket.create_server((HOST, 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 1
    assert "Address already in use" in capsys.readouterr().err


def ask(engine: Engine, *words: str) -> object:
    """The reply of `engine` to one command."""
    session = engine.connect(lambda reply: None, protocol=3)
    return engine.execute(session, [word.encode() for word in words])


def test_files_are_where_the_server_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = at_home({})
    ask(first, "SET", "k", "v")
    first.close()
    assert not any(tmp_path.iterdir())
    first = at_home({"appendonly": "no"})
    ask(first, "SET", "k", "v")
    assert ask(first, "SAVE") == b"OK"
    second = at_home({})
    assert ask(second, "GET", "k") is None
    with pytest.raises(ConfigError, match="another engine keeps its data"):
        at_home({"appendonly": "yes"})
    first.close()
    third = at_home({})
    assert ask(third, "GET", "k") == b"v"
    third.close()
    (tmp_path / "dump.rdb").write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match="was not loaded"):
        at_home({})
    at_home({"dbfilename": "other.rdb", "save": "900 1"}).close()
    (tmp_path / "elsewhere").mkdir()
    at_home({"dir": str(tmp_path / "elsewhere")}).close()
    assert (tmp_path / "elsewhere" / ".cacheapp.lock").exists()


@contextlib.contextmanager
def started(*command: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process, and the URL that it says."""
    process = subprocess.Popen(
        [sys.executable, *command, "--port", free_port()],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"redis://\S+", line)
        assert found, line + process.stdout.read()
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_port() -> str:
    """A port that nobody has now."""
    with socket.create_server((HOST, 0)) as listener:
        return str(listener.getsockname()[1])


OTHER = """
import redis, sys
client = redis.Redis.from_url(sys.argv[1])
assert client.get("k") == b"v", client.get("k")
client.incrby("n", 40)
"""


@pytest.mark.parametrize(
    "command",
    [["-m", "cacheapp.server"], ["manage.py", "cacheapp_server"]],
    ids=["module", "manage"],
)
def test_two_processes_share_an_engine_by_its_url_until_sigterm(command: list[str]) -> None:
    with (
        started(*command, "maxmemory=10mb") as (process, url),
        redis.Redis.from_url(url) as client,
    ):
        client.mset({"k": "v", "n": 2})
        subprocess.run([sys.executable, "-c", OTHER, url], check=True, timeout=30)
        assert client.get("n") == b"42"
        assert client.config_get("maxmemory") == {"maxmemory": "10485760"}
        assert client.info("server")["tcp_port"] == int(url.split(":")[2].split("/")[0])
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "Bye\n"


def test_it_needs_neither_django_nor_redis_py() -> None:
    code = (
        "import sys; sys.modules['django'] = sys.modules['redis'] = None\n"
        "import cacheapp.server.__main__"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=30)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for localhost that it signed itself."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl binary on this machine")
    path = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(path / "key"), "-out", str(path / "cert")],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    both = path / "both"
    both.write_bytes((path / "key").read_bytes() + (path / "cert").read_bytes())
    return both


def test_tls_with_client_certificates(certificate: Path) -> None:
    file = str(certificate)
    found = place("--tls-cert-file", file, "--tls-ca-cert-file", file, "--bind", "0.0.0.0")
    assert found.trusted
    with pytest.raises(ConfigError, match="can be reached"):
        place("--tls-cert-file", file, "--bind", "0.0.0.0")
    parsed = given("--tls-cert-file", file, "--tls-ca-cert-file", file, "--port", free_port())
    where = listening(parsed, Engine(engine_options(parsed)))
    context = ssl.create_default_context(cafile=file)
    with RunningServer(where) as server:
        context.load_cert_chain(file)
        with tls_peer(server.port, context) as peer:
            peer.ask(b"SET k v\r\nGET k\r\n", b"+OK\r\n$1\r\nv\r\n")
            peer.ask(b"SETRANGE l 999999 x\r\n", b":1000000\r\n")
            peer.send(b"GET l\r\n")
            assert len(peer.receive(1_000_012)) == 1_000_012
        stranger = ssl.create_default_context(cafile=file)
        assert answer_to_ping(server.port, context) == b"+PONG\r\n+OK\r\n"
        assert answer_to_ping(server.port, stranger) == b""


def answer_to_ping(port: int, context: ssl.SSLContext) -> bytes:
    """What a client hears after its handshake; nothing where that was refused."""
    with contextlib.suppress(ssl.SSLError, ConnectionError), tls_peer(port, context) as peer:
        peer.send(b"PING\r\nQUIT\r\n")
        return peer.rest()
    return b""


def tls_peer(port: int, context: ssl.SSLContext) -> Peer:
    """A connection over TLS."""
    plain = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
    return Peer(context.wrap_socket(plain, server_hostname="localhost"))


def test_uvloop_is_used_only_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from cacheapp.server import options

    monkeypatch.setattr(options.importlib.util, "find_spec", lambda _name: None)
    assert options._loop_factory() is None
    fake = SimpleNamespace(new_event_loop=asyncio.new_event_loop)
    monkeypatch.setattr(options.importlib.util, "find_spec", lambda _name: True)
    monkeypatch.setattr(options.importlib, "import_module", lambda _name: fake)
    assert options._loop_factory() is asyncio.new_event_loop
