"""CONFIG: reading and changing the engine's parameters."""

from __future__ import annotations

from typing import Any

from cacheapp.engine.arguments import glob_matcher
from cacheapp.engine.config import ALIASES, PARAMETERS, Parameter
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


@command(
    "CONFIG|GET", arity=-3, flags="admin noscript loading stale", group="server", since="2.0.0",
    complexity="O(N)", summary="Returns the effective values of configuration parameters.",
    shaped=True,
)  # fmt: skip
def config_get(ctx: Session, *patterns: bytes) -> Reply:
    # By lower-case name; one that is written out is answered as it was written.
    found: dict[str, tuple[bytes, bytes]] = {}
    names = [*PARAMETERS, *ALIASES]
    for pattern in patterns:
        matches = glob_matcher(pattern, ignore_case=True)
        for name in names:
            if name not in found and matches(name.encode()):
                asked = pattern if pattern.lower() == name.encode() else name.encode()
                shown = ctx.engine.config.show(ALIASES.get(name, name))
                found[name] = (asked, shown.encode("utf-8", "surrogateescape"))
    return dict(found.values())


@command(
    "CONFIG|SET", arity=-4, flags="admin noscript loading stale", group="server", since="2.0.0",
    complexity="O(N)", summary="Sets configuration parameters in-flight.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def config_set(ctx: Session, *pairs: bytes) -> Reply:
    if len(pairs) % 2:
        raise CommandError(SYNTAX)
    rows: dict[str, tuple[str, Parameter]] = {}
    for raw_name in pairs[::2]:
        shown = text(raw_name)
        name = shown.lower()
        row = PARAMETERS.get(ALIASES.get(name, name))
        if row is None:
            raise CommandError(
                f"ERR Unknown option or number of arguments for CONFIG SET - '{shown}'"
            )
        if not row.mutable:
            raise _refused(shown, "can't set immutable config")
        if row.name in rows:
            raise _refused(shown, "duplicate parameter")
        rows[row.name] = (shown, row)
    parsed: dict[str, Any] = {}
    for (shown, row), raw_value in zip(rows.values(), pairs[1::2], strict=True):
        try:
            parsed[row.name] = row.parse(raw_value.decode("utf-8", "surrogateescape"))
        except ConfigError as error:
            raise _refused(shown, str(error)) from None
    ctx.engine.config.update(parsed)
    return OK


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
