"""COMMAND: the command table as clients read it. All of it comes from the registry's rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cacheapp.engine import registry
from cacheapp.engine.arguments import glob_matcher
from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.keyspecs import Counted, Index, KeyAccess, KeySpec, Keyword, Range
from cacheapp.engine.manual import page_of
from cacheapp.engine.manual.words import Argument
from cacheapp.engine.registry import Command, command
from cacheapp.engine.replies import Reply, SetReply, Status, help_reply
from cacheapp.engine.session import Session

_HELP = """
(no subcommand)
    Return details about all Redis commands.
COUNT
    Return the total number of commands in this Redis server.
LIST
    Return a list of all commands in this Redis server.
INFO [<command-name> ...]
    Return details about multiple Redis commands.
    If no command names are given, documentation details for all
    commands are returned.
DOCS [<command-name> ...]
    Return documentation details about multiple Redis commands.
    If no command names are given, documentation details for all
    commands are returned.
GETKEYS <full-command>
    Return the keys from a full Redis command.
GETKEYSANDFLAGS <full-command>
    Return the keys and the access flags from a full Redis command.
"""


@command(
    "COMMAND", arity=-1, flags="loading stale", group="server", since="2.8.13", complexity="O(N)",
    categories="connection", summary="Returns detailed information about all commands.",
    tips=("nondeterministic_output_order",), shaped=True,
)  # fmt: skip
def command_(_ctx: Session) -> Reply:
    return [_info(row) for row in registry.rows()]


@command(
    "COMMAND|COUNT", arity=2, flags="loading stale", group="server", since="2.8.13",
    categories="connection", summary="Returns a count of commands.",
)  # fmt: skip
def command_count(_ctx: Session) -> Reply:
    return len(registry.rows())


@command(
    "COMMAND|INFO", arity=-2, flags="loading stale", group="server", since="2.8.13",
    complexity="O(N)", categories="connection",
    summary="Returns information about one, multiple or all commands.",
    tips=("nondeterministic_output_order",), shaped=True,
)  # fmt: skip
def command_info(_ctx: Session, *names: bytes) -> Reply:
    if not names:
        return [_info(row) for row in registry.rows()]
    rows = (registry.find(name) for name in names)
    return [None if row is None else _info(row) for row in rows]


@command(
    "COMMAND|DOCS", arity=-2, flags="loading stale", group="server", since="7.0.0",
    complexity="O(N)", categories="connection",
    summary="Returns documentary information about one, multiple or all commands.",
    tips=("nondeterministic_output_order",), shaped=True,
)  # fmt: skip
def command_docs(_ctx: Session, *names: bytes) -> Reply:
    if names:
        rows = [row for name in names if (row := registry.find(name)) is not None]
    else:
        rows = registry.rows()
    return {row.display.encode(): _docs(row) for row in rows}


@command(
    "COMMAND|LIST", arity=-2, flags="loading stale", group="server", since="7.0.0",
    complexity="O(N)", categories="connection", summary="Returns a list of command names.",
    tips=("nondeterministic_output_order",),
)  # fmt: skip
def command_list(_ctx: Session, *options: bytes) -> Reply:
    every = [row for parent in registry.rows() for row in (parent, *parent.children.values())]
    if not options:
        return [row.display.encode() for row in every]
    if len(options) != 3 or options[0].upper() != b"FILTERBY":
        raise CommandError(SYNTAX)
    kind, wanted = options[1].upper(), options[2]
    if kind == b"MODULE":
        return []
    if kind == b"ACLCAT":
        category = wanted.decode("utf-8", "replace").lower()
        return [row.display.encode() for row in every if category in row.categories]
    if kind == b"PATTERN":
        matches = glob_matcher(wanted, ignore_case=True)
        return [row.display.encode() for row in every if matches(row.display.encode())]
    raise CommandError(SYNTAX)


@command(
    "COMMAND|GETKEYS", arity=-4, flags="loading stale", group="server", since="2.8.13",
    complexity="O(N)", categories="connection",
    summary="Extracts the key names from an arbitrary command.",
)  # fmt: skip
def command_getkeys(_ctx: Session, *full: bytes) -> Reply:
    arguments = list(full)
    row = _resolved(arguments)
    return [arguments[position] for position, _ in _accesses(row, arguments)]


@command(
    "COMMAND|GETKEYSANDFLAGS", arity=-4, flags="loading stale", group="server", since="7.0.0",
    complexity="O(N)", categories="connection",
    summary="Extracts the key names and access flags for an arbitrary command.", shaped=True,
)  # fmt: skip
def command_getkeysandflags(_ctx: Session, *full: bytes) -> Reply:
    arguments = list(full)
    row = _resolved(arguments)
    return [
        [arguments[position], _statuses(access.flags)]
        for position, access in _accesses(row, arguments)
    ]


@command(
    "COMMAND|HELP", arity=2, flags="loading stale", group="server", since="5.0.0",
    categories="connection", summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def command_help(_ctx: Session) -> Reply:
    return help_reply("COMMAND", _HELP)


def _resolved(arguments: list[bytes]) -> Command:
    """The row of the quoted command, or the errors that GETKEYS has for a wrong one."""
    row = registry.resolve(arguments)
    if row is None:
        raise CommandError("ERR Invalid command specified")
    if not row.has_keys:
        raise CommandError("ERR The command has no key arguments")
    count = len(arguments)
    if (count != row.arity) if row.arity > 0 else (count < -row.arity):
        raise CommandError("ERR Invalid number of arguments specified for command")
    return row


def _accesses(row: Command, arguments: list[bytes]) -> list[KeyAccess]:
    found = row.key_accesses(arguments)
    if not found and "no_mandatory_keys" not in row.flags:
        raise CommandError("ERR Invalid arguments specified for command")
    return found


def _statuses(words: Iterable[str]) -> SetReply:
    return SetReply(Status(word.encode()) for word in words)


def _info(row: Command) -> list[Any]:
    """A row in the ten fields of COMMAND INFO."""
    return [
        row.display.encode(),
        row.arity,
        _statuses(sorted(row.flags)),
        *row.keys,
        _statuses(f"@{category}" for category in sorted(row.categories)),
        SetReply(tip.encode() for tip in row.tips),
        SetReply(_key_spec(spec) for spec in row.specs),
        SetReply(_info(child) for child in row.children.values()),
    ]


def _key_spec(spec: KeySpec) -> dict[bytes, Any]:
    reply: dict[bytes, Any] = {b"notes": spec.note.encode()} if spec.note else {}
    reply[b"flags"] = _statuses(spec.access.flags)
    reply[b"begin_search"] = _begin_search(spec.begin)
    reply[b"find_keys"] = _find_keys(spec.find)
    return reply


def _begin_search(begin: Index | Keyword | None) -> dict[bytes, Any]:
    match begin:
        case None:
            return {b"type": b"unknown", b"spec": {}}
        case Index(position):
            return {b"type": b"index", b"spec": {b"index": position}}
        case Keyword(word, start):
            return {b"type": b"keyword", b"spec": {b"keyword": word, b"startfrom": start}}


def _find_keys(find: Range | Counted | None) -> dict[bytes, Any]:
    match find:
        case None:
            return {b"type": b"unknown", b"spec": {}}
        case Range(last, step, limit):
            spec = {b"lastkey": last, b"keystep": step, b"limit": limit}
            return {b"type": b"range", b"spec": spec}
        case Counted():
            spec = {b"keynumidx": 0, b"firstkey": 1, b"keystep": 1}
            return {b"type": b"keynum", b"spec": spec}


def _docs(row: Command) -> dict[bytes, Any]:
    """What COMMAND DOCS says of a row, with its page of the manual."""
    page = page_of(row.group, row.name)
    docs: dict[bytes, Any] = {
        b"summary": row.summary.encode(),
        b"since": row.since.encode(),
        b"group": row.group.encode(),
    }
    if row.complexity:
        docs[b"complexity"] = row.complexity.encode()
    flags = [
        word
        for word, is_so in (("deprecated", page.deprecated), ("syscmd", page.is_system))
        if is_so
    ]
    if flags:
        docs[b"doc_flags"] = _statuses(flags)
    if page.deprecated:
        docs[b"deprecated_since"], docs[b"replaced_by"] = map(str.encode, page.deprecated)
    if page.history:
        docs[b"history"] = SetReply([since.encode(), what.encode()] for since, what in page.history)
    if page.arguments:
        docs[b"arguments"] = [_argument(argument) for argument in page.arguments]
    if row.children:
        docs[b"subcommands"] = {
            child.display.encode(): _docs(child) for child in row.children.values()
        }
    return docs


def _argument(argument: Argument) -> dict[bytes, Any]:
    """A node of a command's syntax, and those below it."""
    node: dict[bytes, Any] = {b"name": argument.name.encode(), b"type": argument.type.encode()}
    if argument.spec is not None:
        node[b"key_spec_index"] = argument.spec
    if argument.token is not None:
        node[b"token"] = argument.token.encode()
    if argument.since:
        node[b"since"] = argument.since.encode()
    if argument.deprecated_since:
        node[b"deprecated_since"] = argument.deprecated_since.encode()
    if argument.flags:
        node[b"flags"] = _statuses(argument.flags)
    if argument.arguments:
        node[b"arguments"] = [_argument(part) for part in argument.arguments]
    return node
