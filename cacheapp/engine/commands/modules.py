"""MODULE, on a server that loads none."""

from __future__ import annotations

from cacheapp.engine.errors import MODULES_NOT_ALLOWED, CommandError
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import Reply, help_reply
from cacheapp.engine.session import Session

container("MODULE", group="server", since="4.0.0", summary="A container for module commands.")

_HELP = """
LIST
    Return a list of loaded modules.
LOAD <path> [<arg> ...]
    Load a module library from <path>, passing to it any optional arguments.
LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]
    Load a module library from <path>, while passing it module configurations \
and optional arguments.
UNLOAD <name>
    Unload a module.
"""
_ADMIN = "admin noscript no_async_loading"


@command(
    "MODULE|LIST", arity=2, flags="admin noscript", group="server", since="4.0.0",
    summary="Returns all loaded modules.", tips=("nondeterministic_output_order",),
)  # fmt: skip
def module_list(_ctx: Session) -> Reply:
    return []


def _refuse(_ctx: Session, *_arguments: bytes) -> Reply:
    raise CommandError(MODULES_NOT_ALLOWED)


for _name, _arity, _since in (
    ("LOAD", -3, "4.0.0"), ("LOADEX", -3, "7.0.0"), ("UNLOAD", 3, "4.0.0"),
):  # fmt: skip
    command(
        f"MODULE|{_name}",
        arity=_arity,
        flags=_ADMIN,
        group="server",
        since=_since,
        summary="Refused: this server loads no modules.",
    )(_refuse)


@command(
    "MODULE|HELP", arity=2, flags="loading stale", group="server", since="5.0.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def module_help(_ctx: Session) -> Reply:
    return help_reply("MODULE", _HELP)
