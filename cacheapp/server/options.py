"""The command line of the server, the same for `python -m cacheapp.server` and manage.py.

Flags say where to listen and with which certificates; everything else is `option=value`, the
engine's parameters by their redis.conf names. What would let strangers in is refused here, before
anything listens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import importlib.util
import resource
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cacheapp.engine.acl.files import defined
from cacheapp.engine.config import Refusal
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import ConfigError
from cacheapp.server.listening import Listening, is_loopback
from cacheapp.server.tcp import Server

__all__ = [
    "DEFAULT_BIND",
    "DEFAULT_PORT",
    "add_arguments",
    "at_home",
    "engine_options",
    "listening",
    "serve",
]

DEFAULT_BIND = "127.0.0.1"
DEFAULT_PORT = 6380
# Files that are no connections: listeners, logs, the interpreter's own.
_OTHER_FILES = 64

_AUTH_CLIENTS = {
    "no": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "yes": ssl.CERT_REQUIRED,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server's flags and its option=value arguments to `parser`."""
    add = parser.add_argument
    listen = f"address to listen at, repeatable (default: {DEFAULT_BIND})"
    add("--bind", metavar="ADDRESS", action="append", help=listen)
    add("--port", help=f"TCP port; 0 for no TCP (default: {DEFAULT_PORT})")
    add("--unixsocket", metavar="PATH", help="unix socket to listen at, with the mode 0600")
    users = 'a user with rules, repeatable, as in "alice on >secret ~cache:* +@read"'
    add("--user", metavar="RULES", action="append", default=[], help=users)
    add("--requirepass-file", metavar="PATH", help="file whose first line is the password")
    add("--tls-cert-file", metavar="PATH", help="certificate (chain); the port then speaks TLS")
    add("--tls-key-file", metavar="PATH", help="its private key, if not in the same file")
    add("--tls-ca-cert-file", metavar="PATH", help="who signs the clients' certificates")
    clients = "whether clients need a certificate, where there is a CA file (default: yes)"
    add("--tls-auth-clients", choices=sorted(_AUTH_CLIENTS), default="yes", help=clients)
    parameters = "the engine's parameters, such as maxmemory=256mb"
    add("options", metavar="option=value", nargs="*", help=parameters)


def engine_options(given: argparse.Namespace) -> dict[str, str]:
    """The engine's parameters by name, as text.

    Raises ConfigError for an argument that is no option=value, OSError for a password file that
    cannot be read.
    """
    options = {"bind": DEFAULT_BIND, "port": str(DEFAULT_PORT)}
    for argument in given.options:
        name, equals, value = argument.partition("=")
        if not equals:
            raise ConfigError(f"{argument!r} is not option=value")
        options[name] = value
    if given.bind:
        options["bind"] = " ".join(given.bind)
    if given.port is not None:
        options["port"] = given.port
    if given.unixsocket:
        options["unixsocket"] = given.unixsocket
    if given.requirepass_file:
        text = Path(given.requirepass_file).read_text(encoding="utf-8")
        options["requirepass"] = text.partition("\n")[0]
    return options


def listening(given: argparse.Namespace, engine: Engine) -> Listening:
    """Where to listen.

    Raises ConfigError for a place that others can reach without a password or a certificate (say
    protected-mode=no to mean it), for no place at all, and for half a pair of TLS files.
    """
    config, tls = engine.config, _tls(given)
    trusted = tls is not None and tls.verify_mode == ssl.CERT_REQUIRED
    hosts = tuple(config["bind"].split()) if config["port"] else ()
    if not hosts and not config["unixsocket"]:
        raise ConfigError("nowhere to listen: give --port or --unixsocket")
    guarded = engine.acl.default.needs_password
    beyond = [host for host in hosts if not is_loopback(host)]
    if beyond and config["protected-mode"] and not (guarded or trusted):
        raise ConfigError(
            f"{', '.join(beyond)} can be reached from other machines: give requirepass=…, or TLS "
            "with --tls-ca-cert-file, or say protected-mode=no to let everybody in"
        )
    return Listening(hosts, config["port"], config["unixsocket"], tls, trusted)


def _tls(given: argparse.Namespace) -> ssl.SSLContext | None:
    if not given.tls_cert_file:
        if given.tls_key_file or given.tls_ca_cert_file:
            raise ConfigError("TLS needs --tls-cert-file")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(given.tls_cert_file, given.tls_key_file)
    if given.tls_ca_cert_file:
        context.load_verify_locations(given.tls_ca_cert_file)
        context.verify_mode = _AUTH_CLIENTS[given.tls_auth_clients]
    return context


def serve(given: argparse.Namespace, say: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT; `say` gets a line once it listens, and one at the end.

    Raises ConfigError (see `engine_options`, `listening`, `Engine`) and OSError, with the reason.
    """
    engine = at_home(engine_options(given))
    engine.acl.add(defined(engine, given.user))
    place = listening(given, engine)
    _allow_files(engine.config["maxclients"])

    async def run() -> None:
        server = Server(engine, place)
        await server.run(lambda: say(f"Ready to accept connections at {_places(server)}"))

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())
    say("Bye")


def at_home(options: dict[str, str]) -> Engine:
    """An engine whose files are, where `options` say no dir, where the server was started.

    A dump that lies there is loaded, unless another engine has the directory; then, and where there
    is none, nothing is touched until a client asks for files. Raises ConfigError as `Engine` does.
    """
    if "dir" in options:
        return Engine(options)
    here = {**options, "dir": "."}
    if options.get("save") or options.get("appendonly", "no").lower() != "no":
        return Engine(here)
    home = Path.cwd()
    with contextlib.suppress(Refusal):
        if (home / options.get("dbfilename", "dump.rdb")).is_file():
            return Engine(here)
    engine = Engine(options)
    engine.saving.home = str(home)
    return engine


def _allow_files(connections: int) -> None:
    """Raise the process's limit of open files, as far as it may, for that many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _places(server: Server) -> str:
    scheme = "rediss" if server.listening.tls else "redis"
    hosts = server.listening.hosts
    found = [f"{scheme}://{f'[{h}]' if ':' in h else h}:{server.port}/0" for h in hosts]
    if server.listening.unixsocket:
        found.append(f"unix://{server.listening.unixsocket}")
    return ", ".join(found)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop where that is installed; None is asyncio's own."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    uvloop: Any = importlib.import_module("uvloop")
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
