"""ACL: users and their rules, and what was refused them. The work is in `engine/acl`."""

from __future__ import annotations

import secrets

from cacheapp.engine.acl import Reason, Selector, check, describing, files
from cacheapp.engine.acl.rules import has_spaces
from cacheapp.engine.acl.selectors import CATEGORIES, members
from cacheapp.engine.acl.users import DEFAULT_USER
from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import (
    ACL_BAD_USERNAME,
    ACL_KEEPS_DEFAULT,
    ACL_NO_FILE,
    CommandError,
    text,
    wrong_arity,
    wrong_subcommand_arity,
)
from cacheapp.engine.registry import command, container, resolve
from cacheapp.engine.replies import OK, Reply, SetReply, help_reply
from cacheapp.engine.session import Session

_ADMIN = "admin noscript loading stale"
_ANYBODY = "noscript loading stale"
_USER_COST = "O(N). Where N is the number of configured users."

_PASSWORD_BITS = 256
_PASSWORD_BITS_MAX = 4096
_LOG_ENTRIES = 10

_HELP = """
CAT [<category>]
    List all commands that belong to <category>, or all command categories
    when no category is specified.
DELUSER <username> [<username> ...]
    Delete a list of users.
DRYRUN <username> <command> [<arg> ...]
    Returns whether the user can execute the given command without executing the command.
GETUSER <username>
    Get the user's details.
GENPASS [<bits>]
    Generate a secure 256-bit user password. The optional `bits` argument can
    be used to specify a different size.
LIST
    Show users details in config file format.
LOAD
    Reload users from the ACL file.
LOG [<count> | RESET]
    Show the ACL log entries.
SAVE
    Save the current config to the ACL file.
SETUSER <username> <attribute> [<attribute> ...]
    Create or modify a user with the specified attributes.
USERS
    List all the registered usernames.
WHOAMI
    Return the current connection username.
"""

container(
    "ACL", group="server", since="6.0.0",
    summary="A container for Access List Control commands.",
)  # fmt: skip


@command(
    "ACL|SETUSER", arity=-3, flags=_ADMIN, group="server", since="6.0.0",
    complexity="O(N). Where N is the number of rules provided.",
    summary="Creates and modifies an ACL user and its rules.",
)  # fmt: skip
def acl_setuser(ctx: Session, name: bytes, *rules: bytes) -> Reply:
    if has_spaces(name):
        raise CommandError(ACL_BAD_USERNAME)
    ctx.engine.acl.set_user(name, rules)
    return OK


@command(
    "ACL|DELUSER", arity=-3, flags=_ADMIN, group="server", since="6.0.0",
    complexity="O(1) amortized time considering the typical user.",
    summary="Deletes ACL users, and terminates their connections.",
)  # fmt: skip
def acl_deluser(ctx: Session, *names: bytes) -> Reply:
    if DEFAULT_USER in names:
        raise CommandError(ACL_KEEPS_DEFAULT)
    return ctx.engine.acl.delete(names, by=ctx)


@command(
    "ACL|GETUSER", arity=3, flags=_ADMIN, group="server", since="6.0.0",
    complexity="O(N). Where N is the number of password, command and pattern rules of the user.",
    summary="Lists the ACL rules of a user.", shaped=True,
)  # fmt: skip
def acl_getuser(ctx: Session, name: bytes) -> Reply:
    user = ctx.engine.acl.users.get(name)
    if user is None:
        return None
    return {
        b"flags": SetReply(describing.flags_of(user)),
        b"passwords": list(user.passwords),
        **_described(user.selectors[0]),
        b"selectors": [_described(selector) for selector in user.selectors[1:]],
    }


def _described(selector: Selector) -> dict[bytes, Reply]:
    return {
        b"commands": describing.describe_commands(selector),
        b"keys": describing.describe_keys(selector),
        b"channels": describing.describe_channels(selector),
    }


@command(
    "ACL|LIST", arity=2, flags=_ADMIN, group="server", since="6.0.0", complexity=_USER_COST,
    summary="Dumps the effective rules in ACL file format.",
)  # fmt: skip
def acl_list(ctx: Session) -> Reply:
    users = ctx.engine.acl.users
    return [describing.describe_user(users[name]) for name in sorted(users)]


@command(
    "ACL|USERS", arity=2, flags=_ADMIN, group="server", since="6.0.0", complexity=_USER_COST,
    summary="Lists all ACL users.",
)  # fmt: skip
def acl_users(ctx: Session) -> Reply:
    return sorted(ctx.engine.acl.users)


@command(
    "ACL|WHOAMI", arity=2, flags=_ANYBODY, group="server", since="6.0.0",
    summary="Returns the authenticated username of the current connection.",
)  # fmt: skip
def acl_whoami(ctx: Session) -> Reply:
    return ctx.user.name


@command(
    "ACL|CAT", arity=-2, flags=_ANYBODY, group="server", since="6.0.0",
    complexity="O(1) since the categories and commands are a fixed set.",
    summary="Lists the ACL categories, or the commands inside a category.",
)  # fmt: skip
def acl_cat(_ctx: Session, *category: bytes) -> Reply:
    if len(category) > 1:
        raise wrong_subcommand_arity("ACL", b"CAT")
    if not category:
        return [name.encode() for name in CATEGORIES]
    wanted = text(category[0]).lower()
    if wanted not in CATEGORIES:
        raise CommandError(f"ERR Unknown category '{text(category[0][:128])}'")
    return [row.display.encode() for row in members(wanted)]


@command(
    "ACL|GENPASS", arity=-2, flags=_ANYBODY, group="server", since="6.0.0",
    summary="Generates a pseudorandom, secure password that can be used to identify ACL users.",
)  # fmt: skip
def acl_genpass(_ctx: Session, *size: bytes) -> Reply:
    if len(size) > 1:
        raise wrong_subcommand_arity("ACL", b"GENPASS")
    bits = parse_int(size[0]) if size else _PASSWORD_BITS
    if not 0 < bits <= _PASSWORD_BITS_MAX:
        raise CommandError(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a "
            f"positive number up to {_PASSWORD_BITS_MAX}"
        )
    digits = (bits + 3) // 4
    return secrets.token_hex((digits + 1) // 2)[:digits].encode()


@command(
    "ACL|LOG", arity=-2, flags=_ADMIN, group="server", since="6.0.0",
    complexity="O(N) with N being the number of entries shown.",
    summary="Lists recent security events generated due to ACL rules.", shaped=True,
)  # fmt: skip
def acl_log(ctx: Session, *argument: bytes) -> Reply:
    if len(argument) > 1:
        raise wrong_subcommand_arity("ACL", b"LOG")
    log, now_ms = ctx.engine.acl.log, ctx.engine.now_ms
    if argument and argument[0].lower() == b"reset":
        log.clear()
        return OK
    count = parse_int(argument[0]) if argument else _LOG_ENTRIES
    return [
        {
            b"count": entry.count,
            b"reason": entry.reason.encode(),
            b"context": entry.context.encode(),
            b"object": entry.object,
            b"username": entry.username,
            b"age-seconds": (now_ms - entry.updated_ms) / 1000,
            b"client-info": entry.client,
        }
        for entry in log.entries[: max(0, count)]
    ]


@command(
    "ACL|DRYRUN", arity=-4, flags=_ADMIN, group="server", since="7.0.0",
    summary="Simulates the execution of a command by a user, without executing the command.",
)  # fmt: skip
def acl_dryrun(ctx: Session, name: bytes, *full: bytes) -> Reply:
    user = ctx.engine.acl.users.get(name)
    if user is None:
        raise CommandError(f"ERR User '{text(name)}' not found")
    arguments = list(full)
    row = resolve(arguments)
    if row is None:
        raise CommandError(f"ERR Command '{text(arguments[0])}' not found")
    count = len(arguments)
    if (count != row.arity) if row.arity > 0 else (count < -row.arity):
        raise wrong_arity(row.display)
    denial = check(user, row, arguments)
    if denial is None:
        return OK
    if denial.reason is Reason.COMMAND:
        return f"This user has no permissions to run the '{row.display}' command".encode()
    kind, what = denial.reason.name.lower().encode(), arguments[denial.position]
    return b"This user has no permissions to access the '%b' %b" % (what.partition(b"\0")[0], kind)


@command(
    "ACL|LOAD", arity=2, flags=_ADMIN, group="server", since="6.0.0", complexity=_USER_COST,
    summary="Reloads the rules from the configured ACL file.",
)  # fmt: skip
def acl_load(ctx: Session) -> Reply:
    ctx.engine.acl.replace(files.load(ctx.engine, _file(ctx)), by=ctx)
    return OK


@command(
    "ACL|SAVE", arity=2, flags=_ADMIN, group="server", since="6.0.0", complexity=_USER_COST,
    summary="Saves the effective ACL rules in the configured ACL file.",
)  # fmt: skip
def acl_save(ctx: Session) -> Reply:
    files.save(ctx.engine, _file(ctx))
    return OK


def _file(ctx: Session) -> str:
    path: str = ctx.engine.config["aclfile"]
    if not path:
        raise CommandError(ACL_NO_FILE)
    return path


@command(
    "ACL|HELP", arity=2, flags="loading stale", group="server", since="6.0.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def acl_help(_ctx: Session) -> Reply:
    return help_reply("ACL", _HELP)
