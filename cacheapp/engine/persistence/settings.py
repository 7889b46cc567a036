"""The parameters of what is kept on disk; rows of CONFIG's table.

They are the engine's own, so a memory:// URL may say them. `dir` is NOWHERE unless it is given:
then nothing is read or written, whatever the process's directory holds, and CONFIG GET shows that
directory as Redis does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from cacheapp.engine.errors import ConfigError
from cacheapp.engine.parameter import (
    INT_MAX,
    Parameter,
    Parse,
    choice,
    integer,
    memory,
    parse_boolean,
)

# What no path can be.
NOWHERE = "\0"


def _parse_save(text: str) -> str:
    """Points at which Redis would save, as pairs of seconds and changes."""
    words = text.split(" ") if text else []
    numbers = [int(word) if re.fullmatch(r"-?[0-9]+", word) else -1 for word in words]
    valid = all(number >= (index % 2 == 0) for index, number in enumerate(numbers))
    if len(numbers) % 2 or not valid:
        raise ConfigError("Invalid save parameters")
    return " ".join(map(str, numbers))


def _base_name(name: str, thing: str, *, empty: bool) -> Parse:
    def parse(text: str) -> str:
        if not text and not empty:
            raise ConfigError(f"{name} can't be empty")
        if "/" in text or "\\" in text:
            raise ConfigError(f"{name} can't be a path, just a {thing}")
        return text

    return parse


def _parse_directory(text: str) -> str:
    if text == NOWHERE:
        return text
    try:
        os.scandir(text).close()
    except OSError as error:
        raise ConfigError(str(error.strerror)) from None
    return str(Path(text).resolve())


def _show_directory(path: str) -> str:
    try:
        return str(Path("." if path == NOWHERE else path).resolve())
    except OSError:
        # The process's own directory is gone.
        return ""


def log_rows() -> Iterable[Parameter]:
    """The log of changes."""
    yield Parameter("appendonly", "no", parse_boolean, help="whether every change is logged")
    yield Parameter(
        "appendfsync", "everysec", choice("everysec", "always", "no"),
        help="when the log is waited for",
    )  # fmt: skip
    for name, default, thing in (
        ("appendfilename", "appendonly.aof", "filename"),
        ("appenddirname", "appendonlydir", "dirname"),
    ):
        yield Parameter(
            name, default, _base_name(name, thing, empty=False), mutable=False,
            help=f"the log's {thing} in dir",
        )  # fmt: skip
    yield Parameter(
        "aof-load-truncated", "yes", parse_boolean, help="whether a log may end in mid-command"
    )
    yield Parameter(
        "auto-aof-rewrite-percentage", "100", integer(0, INT_MAX),
        help="growth after which the log is rewritten; 0 for never",
    )  # fmt: skip
    yield Parameter(
        "auto-aof-rewrite-min-size", "64mb", memory(0), help="size below which it is not"
    )


def file_rows() -> Iterable[Parameter]:
    """Where files are, and when they are written."""
    yield Parameter(
        "dir", NOWHERE, _parse_directory, protected=True, show=_show_directory,
        help="directory to keep data in; none: nothing is kept",
    )  # fmt: skip
    yield Parameter(
        "dbfilename", "dump.rdb", _base_name("dbfilename", "filename", empty=True),
        protected=True, help="the dump's name in it",
    )  # fmt: skip
    yield Parameter("save", "", _parse_save, help="save points: seconds and changes, in pairs")
    yield Parameter(
        "stop-writes-on-bgsave-error", "yes", parse_boolean,
        help="whether writes are refused after a save point failed",
    )  # fmt: skip
    yield Parameter(
        "rdbchecksum", "yes", parse_boolean, mutable=False, help="whether a dump has a checksum"
    )
