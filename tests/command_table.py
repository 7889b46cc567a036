"""`python -m tests.command_table`: writes docs/commands.md from the registry.

The page says of every command of redis-server 7.0 whether the engine has the whole of it, a part,
or nothing, and names what later versions added. Rows come from the registry; the names of Redis
7.0's commands from the list beside this file (what its COMMAND LIST answers); what is missing of a
command stands here. `tests/test_docs.py` fails when the page is not what this would write.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from cacheapp.engine import registry

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
NAMES = Path(__file__).with_name("redis_7_0_commands.txt")

_OWN_PROCESS = "on the TCP front only, but for `NO ONE`"
_NO_SOCKET = "on the TCP front only: a replica is a connection"
_NEEDS_DIRECTORY = "in a process, where a directory is given (`dir`)"
# What there is of a command is Redis's; this is the rest. A container speaks for its children.
PARTIAL = {
    "BGSAVE": _NEEDS_DIRECTORY,
    "CLUSTER": "says that cluster support is disabled, as redis-server without a cluster",
    "DEBUG": "what tests and tools ask for; `DEBUG HELP` lists it",
    "FAILOVER": "refuses what redis-server refuses, and then says that it does not do it",
    "MEMORY|DOCTOR": "other advice, since memory is Python's",
    "MEMORY|MALLOC-STATS": "there is no allocator to ask, and it says so",
    "MEMORY|STATS": "the fields about the allocator",
    "MIGRATE": "on the TCP front only; connections are not kept",
    "MODULE|LOAD": "refused, as redis-server does unless told otherwise",
    "MODULE|LOADEX": "refused, as redis-server does unless told otherwise",
    "PSYNC": _NO_SOCKET,
    "REPLICAOF": _OWN_PROCESS,
    "SAVE": _NEEDS_DIRECTORY,
    "SCRIPT|DEBUG": "`YES` and `SYNC`: there is no debugger",
    "SHUTDOWN": "on the TCP front only",
    "SLAVEOF": _OWN_PROCESS,
    "SYNC": _NO_SOCKET,
}

_HEAD = """\
# Commands

Written by `make commands` from the command table; do not edit. **{whole}** of redis-server 7.0's
{total} commands are whole, {partial} in part, {absent} absent. Whole means: the replies, errors and
effects that [the comparison](differential.md) finds equal, but for the
[intended differences](differences.md).

`—` in the last column is: whole.
"""


def redis_names() -> list[str]:
    """The names of redis-server 7.0's commands, upper case, children as `CONFIG|GET`."""
    return NAMES.read_text(encoding="utf-8").upper().split()


def rows() -> dict[str, registry.Command]:
    """The registry's rows by name, children's too."""
    registry.load_commands()
    tops = registry.rows()
    return {row.name: row for top in tops for row in (top, *top.children.values())}


def _of(reasons: dict[str, str], name: str) -> str:
    """A command's own entry, or its container's."""
    return reasons.get(name) or reasons.get(name.partition("|")[0], "")


def page() -> str:
    """The whole page."""
    ours, theirs = rows(), redis_names()
    absent = [name for name in theirs if name not in ours]
    partial = [name for name in theirs if name in ours and _of(PARTIAL, name)]
    head = _HEAD.format(
        whole=len(theirs) - len(absent) - len(partial),
        total=len(theirs),
        partial=len(partial),
        absent=len(absent),
    )
    groups = sorted({ours[name].group for name in theirs if name in ours})
    parts = [head]
    for group in groups:
        lines = [_line(ours[name]) for name in theirs if name in ours and ours[name].group == group]
        parts.append(_table(group, ("command", "since", "what it does", "missing"), lines))
    if absent:
        parts.append(_table("Absent", ("command",), [f"| `{_shown(name)}` |" for name in absent]))
    later = [_line(ours[name]) for name in sorted(set(ours) - set(theirs))]
    parts.append(_table("After 7.0", ("command", "since", "what it does", "missing"), later))
    return "\n".join(parts)


def _shown(name: str) -> str:
    return name.replace("|", " ")


def _line(row: registry.Command) -> str:
    summary = row.summary.removesuffix(".")
    return f"| `{_shown(row.name)}` | {row.since} | {summary} | {_of(PARTIAL, row.name) or '—'} |"


def _table(title: str, columns: Iterable[str], lines: list[str]) -> str:
    head = f"| {' | '.join(columns)} |"
    rule = "|" + "---|" * len(list(columns))
    return "\n".join([f"## {title}", "", head, rule, *lines, ""])


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
