"""CLIENT: what the engine knows of its sessions."""

from __future__ import annotations

from cacheapp.engine.arguments import parse_client_type, parse_int
from cacheapp.engine.errors import (
    INVALID_CLIENT_NAME,
    SYNTAX,
    CommandError,
    text,
    wrong_subcommand_arity,
)
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply, Verbatim, help_reply
from cacheapp.engine.session import Session, valid_client_name

_HELP = """
CACHING (YES|NO)
    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.
GETREDIR
    Return the client ID we are redirecting to when tracking is enabled.
GETNAME
    Return the name of the current connection.
ID
    Return the ID of the current connection.
INFO
    Return information about the current client connection.
KILL <ip:port>
    Kill connection made from <ip:port>.
KILL <option> <value> [<option> <value> [...]]
    Kill connections. Options are:
    * ADDR (<ip:port>|<unixsocket>:0)
      Kill connections made from the specified address
    * LADDR (<ip:port>|<unixsocket>:0)
      Kill connections made to specified local address
    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)
      Kill connections by type.
    * USER <username>
      Kill connections authenticated by <username>.
    * SKIPME (YES|NO)
      Skip killing current connection (default: yes).
    * ID <client-id>
      Kill connections by client id.
    * MAXAGE <maxage>
      Kill connections older than the specified age.
LIST [options ...]
    Return information about client connections. Options:
    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)
      Return clients of specified type.
    * ID <id> [<id> ...]
      Return clients of specified IDs only.
UNPAUSE
    Stop the current client pause, resuming traffic.
PAUSE <timeout> [WRITE|ALL]
    Suspend all, or just write, clients for <timeout> milliseconds.
REPLY (ON|OFF|SKIP)
    Control the replies sent to the current connection.
SETINFO (LIB-NAME|LIB-VER) <value>
    Tell the server the name or the version of the client library.
UNBLOCK <clientid> [TIMEOUT|ERROR]
    Unblock the specified blocked client.
SETNAME <name>
    Assign the name <name> to the current connection.
TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]
         [OPTIN] [OPTOUT] [NOLOOP]
    Control server assisted client side caching.
TRACKINGINFO
    Report tracking status for the current connection.
NO-EVICT (ON|OFF)
    Protect current client connection from eviction.
NO-TOUCH (ON|OFF)
    Will not touch LRU/LFU stats when this mode is on.
"""


@command(
    "CLIENT|ID", arity=2, flags="noscript loading stale", group="connection", since="5.0.0",
    summary="Returns the unique client ID of the connection.",
)  # fmt: skip
def client_id(ctx: Session) -> Reply:
    return ctx.id


@command(
    "CLIENT|GETNAME", arity=2, flags="noscript loading stale", group="connection", since="2.6.9",
    summary="Returns the name of the connection.",
)  # fmt: skip
def client_getname(ctx: Session) -> Reply:
    return ctx.name or None


@command(
    "CLIENT|SETNAME", arity=3, flags="noscript loading stale", group="connection", since="2.6.9",
    summary="Sets the connection name.",
)  # fmt: skip
def client_setname(ctx: Session, name: bytes) -> Reply:
    if not valid_client_name(name):
        raise CommandError(INVALID_CLIENT_NAME)
    ctx.name = name
    return OK


@command(
    "CLIENT|SETINFO", arity=4, flags="noscript loading stale", group="connection", since="7.2.0",
    summary="Sets information specific to the client or connection.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def client_setinfo(ctx: Session, attribute: bytes, value: bytes) -> Reply:
    kind = attribute.lower()
    if kind not in (b"lib-name", b"lib-ver"):
        raise CommandError(f"ERR Unrecognized option '{text(attribute)}'")
    if not valid_client_name(value):
        raise CommandError(
            f"ERR {kind.decode()} cannot contain spaces, newlines or special characters."
        )
    if kind == b"lib-name":
        ctx.lib_name = value
    else:
        ctx.lib_version = value
    return OK


@command(
    "CLIENT|NO-EVICT", arity=3, flags="admin noscript loading stale", group="connection",
    since="7.0.0", summary="Sets the client eviction mode of the connection.",
)  # fmt: skip
def client_no_evict(ctx: Session, switch: bytes) -> Reply:
    if switch.lower() not in (b"on", b"off"):
        raise CommandError(SYNTAX)
    ctx.no_evict = switch.lower() == b"on"
    return OK


@command(
    "CLIENT|UNBLOCK", arity=-3, flags="admin noscript loading stale", group="connection",
    since="5.0.0", summary="Unblocks a client blocked by a blocking command from a connection.",
)  # fmt: skip
def client_unblock(ctx: Session, number: bytes, *reason: bytes) -> Reply:
    if len(reason) > 1:
        raise wrong_subcommand_arity("CLIENT", b"UNBLOCK")
    how = reason[0].upper() if reason else b"TIMEOUT"
    if how not in (b"TIMEOUT", b"ERROR"):
        raise CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    session = ctx.engine.sessions.get(parse_int(number))
    if session is None:
        return 0
    return int(ctx.engine.waiters.unblock(session, with_error=how == b"ERROR"))


@command(
    "CLIENT|INFO", arity=2, flags="noscript loading stale", group="connection", since="6.2.0",
    summary="Returns information about the connection.", tips=("nondeterministic_output",),
    shaped=True,
)  # fmt: skip
def client_info(ctx: Session) -> Reply:
    return Verbatim(ctx.line() + b"\n")


@command(
    "CLIENT|LIST", arity=-2, flags="admin noscript loading stale", group="connection",
    since="2.4.0", complexity="O(N)", summary="Lists open connections.",
    tips=("nondeterministic_output",), shaped=True,
)  # fmt: skip
def client_list(ctx: Session, *options: bytes) -> Reply:
    sessions = list(ctx.engine.sessions.values())
    if len(options) == 2 and options[0].lower() == b"type":
        kind = parse_client_type(options[1])
        sessions = [session for session in sessions if session.client_type == kind]
    elif len(options) > 1 and options[0].lower() == b"id":
        wanted = [parse_int(raw, "ERR Invalid client ID") for raw in options[1:]]
        by_id = ctx.engine.sessions
        sessions = [by_id[number] for number in wanted if number in by_id]
    elif options:
        raise CommandError(SYNTAX)
    return Verbatim(b"".join(session.line() + b"\n" for session in sessions))


@command(
    "CLIENT|HELP", arity=2, flags="loading stale", group="connection", since="5.0.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def client_help(_ctx: Session) -> Reply:
    return help_reply("CLIENT", _HELP)
