"""CONFIG: reading and changing the engine's parameters."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from cacheapp.engine.arguments import glob_matcher
from cacheapp.engine.config import ALIASES, PARAMETERS, Parameter, Refusal
from cacheapp.engine.errors import SYNTAX, CommandError, ConfigError, text
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import OK, Reply, help_reply
from cacheapp.engine.session import Session

container(
    "CONFIG", group="server", since="2.0.0",
    summary="A container for server configuration commands.",
)  # fmt: skip

_HELP = """
GET <pattern>
    Return parameters matching the glob-like <pattern> and their values.
SET <directive> <value>
    Set the configuration <directive> to <value>.
RESETSTAT
    Reset statistics reported by the INFO command.
REWRITE
    Rewrite the configuration file.
"""


_GLOB = frozenset(b"[*?")
_SHOWN = [
    name for name in (*PARAMETERS, *ALIASES) if not PARAMETERS[ALIASES.get(name, name)].hidden
]


@command(
    "CONFIG|GET", arity=-3, flags="admin noscript loading stale", group="server", since="2.0.0",
    complexity="O(N)", summary="Returns the effective values of configuration parameters.",
    shaped=True,
)  # fmt: skip
def config_get(ctx: Session, *patterns: bytes) -> Reply:
    # By lower-case name; one that is written out is answered as it was written.
    found: dict[str, tuple[bytes, str]] = {}
    for pattern in patterns:
        if _GLOB.isdisjoint(pattern):
            name = text(pattern).lower()
            row_name = ALIASES.get(name, name)
            if row_name in PARAMETERS:
                found.setdefault(name, (pattern, row_name))
            continue
        matches = glob_matcher(pattern, ignore_case=True)
        for name in _SHOWN:
            if matches(name.encode()):
                found.setdefault(name, (name.encode(), ALIASES.get(name, name)))
    show = ctx.engine.config.show
    return {asked: show(name).encode("utf-8", "surrogateescape") for asked, name in found.values()}


@command(
    "CONFIG|SET", arity=-4, flags="admin noscript loading stale", group="server", since="2.0.0",
    complexity="O(N)", summary="Sets configuration parameters in-flight.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def config_set(ctx: Session, *pairs: bytes) -> Reply:
    if len(pairs) % 2:
        raise CommandError(SYNTAX)
    rows: dict[str, Parameter] = {}
    for raw_name in pairs[::2]:
        rows[_settable(ctx, text(raw_name), rows)] = _row(text(raw_name))
    parsed: dict[str, Any] = {}
    for (name, row), raw_value in zip(rows.items(), pairs[1::2], strict=True):
        try:
            parsed[row.name] = row.parse(raw_value.decode("utf-8", "surrogateescape"))
        except ConfigError as error:
            raise _refused(name, str(error)) from None
    try:
        ctx.engine.config.update(parsed)
    except Refusal as refusal:
        raise _refused(refusal.name, str(refusal)) from None
    return OK


def _row(name: str) -> Parameter:
    row = PARAMETERS.get(ALIASES.get(name.lower(), name.lower()))
    if row is None:
        raise CommandError(f"ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
    return row


def _settable(ctx: Session, shown: str, before: Container[str]) -> str:
    """The name in lower case of a parameter that may be set now, and was not named `before`."""
    row, name = _row(shown), shown.lower()
    if not row.mutable:
        raise _refused(shown, "can't set immutable config")
    if row.protected and not ctx.may(ctx.engine.config["enable-protected-configs"]):
        raise _refused(shown, "can't set protected config")
    if name in before:
        raise _refused(shown, "duplicate parameter")
    return name


def _refused(name: str, reason: str) -> CommandError:
    return CommandError(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")


@command(
    "CONFIG|RESETSTAT", arity=2, flags="admin noscript loading stale", group="server",
    since="2.0.0", summary="Resets the server's statistics.",
)  # fmt: skip
def config_resetstat(ctx: Session) -> Reply:
    ctx.engine.stats.reset()
    return OK


@command(
    "CONFIG|REWRITE", arity=2, flags="admin noscript loading stale", group="server", since="2.8.0",
    summary="Persists the effective configuration to file.",
)  # fmt: skip
def config_rewrite(_ctx: Session) -> Reply:
    raise CommandError("ERR The server is running without a config file")


@command(
    "CONFIG|HELP", arity=2, flags="loading stale", group="server", since="5.0.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def config_help(_ctx: Session) -> Reply:
    return help_reply("CONFIG", _HELP)
