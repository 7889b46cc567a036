"""What a parameter is: the kinds of values that CONFIG takes, and their error texts.

A kind is a pair of functions: from a text to a value, which raises ConfigError with Redis's own
words, and back for CONFIG GET. Which parameters there are stands in `config` (those that do
something here) and in `inert` (those that are only kept).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cacheapp.engine.errors import ConfigError

Parse = Callable[[str], Any]

INT_MAX, LONG_MAX, ULONG_MAX = 2**31 - 1, 2**63 - 1, 2**64 - 1

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_MEMORY = re.compile(r"([0-9]*)([a-z]*)\Z", re.IGNORECASE)
_UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1024,
    "m": 1000**2,
    "mb": 1024**2,
    "g": 1000**3,
    "gb": 1024**3,
}

# Redis's letters for keyspace events, in the order in which CONFIG GET prints them back.
EVENT_LETTERS = "g$lshzxetdmnKE"
EVENTS_ALL = frozenset("g$lshzxetd")


def _printed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A row: how a text becomes a value and back.

    `mutable` says whether CONFIG SET may, `protected` that it also needs
    `enable-protected-configs`, `hidden` that no pattern of CONFIG GET finds it.
    """

    name: str
    default: str
    parse: Parse
    mutable: bool = True
    alias: str = ""
    show: Callable[[Any], str] = _printed
    secret: bool = False
    hidden: bool = False
    protected: bool = False
    help: str = ""


def parse_memory(text: str) -> int:
    """Bytes from "256mb", "1gb", "1000"; k, m, g are powers of 1000, kb, mb, gb of 1024."""
    match = _MEMORY.match(text)
    if match is None or match[2].lower() not in _UNITS:
        raise ConfigError("argument must be a memory value")
    value = int(match[1] or 0) * _UNITS[match[2].lower()]
    if value >= 2**63:
        raise ConfigError("argument must be a memory value")
    return value


def parse_master(text: str) -> str:
    """A host and a port, or nothing."""
    words = text.split()
    if words and len(words) != 2:
        raise ConfigError("wrong number of arguments")
    if words and not (words[1].isdigit() and int(words[1]) <= 65535):
        raise ConfigError("Invalid master port")
    return " ".join(words)


def parse_boolean(text: str) -> bool:
    """True for "yes", False for "no", in any case."""
    if text.lower() not in ("yes", "no"):
        raise ConfigError("argument must be 'yes' or 'no'")
    return text.lower() == "yes"


def parse_events(text: str) -> frozenset[str]:
    """The classes of keyspace events that a flag string such as "KEA" names."""
    flags: set[str] = set()
    for letter in text:
        if letter == "A":
            flags |= EVENTS_ALL
        elif letter in EVENT_LETTERS:
            flags.add(letter)
        else:
            raise ConfigError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
    return frozenset(flags)


def format_events(flags: frozenset[str]) -> str:
    """The flag string that CONFIG GET prints for `flags`."""
    shown = set(flags)
    prefix = ""
    if shown >= EVENTS_ALL:
        prefix, shown = "A", shown - EVENTS_ALL
    return prefix + "".join(letter for letter in EVENT_LETTERS if letter in shown)


def _between(low: int, high: int, value: int) -> int:
    if not low <= value <= high:
        raise ConfigError(f"argument must be between {low} and {high} inclusive")
    return value


def integer(low: int, high: int) -> Parse:
    """A whole number in decimal."""

    def parse(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
            raise ConfigError("argument couldn't be parsed into an integer")
        return _between(low, high, int(text))

    return parse


def octal(high: int) -> Parse:
    """A whole number in octal: a file's mode."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-7]+", text):
            raise ConfigError("argument couldn't be parsed as an octal number")
        if int(text, 8) > high:
            raise ConfigError(f"argument must be between 0 and {high:o} inclusive")
        return int(text, 8)

    return parse


def memory(low: int, high: int = LONG_MAX) -> Parse:
    """A number of bytes, with or without a unit."""
    return lambda text: _between(low, high, parse_memory(text))


def parse_share(text: str) -> int:
    """Bytes, or a percentage of `maxmemory` as a negative number ("5%" is -5)."""
    if text.endswith("%") and _INTEGER.fullmatch(text[:-1]) and not text.startswith("-"):
        percent = int(text[:-1])
        if percent > 100:
            raise ConfigError("percentage argument must be less or equal to 100")
        return -percent
    try:
        return parse_memory(text)
    except ConfigError:
        raise ConfigError("argument must be a memory or percent value") from None


def format_share(value: int) -> str:
    """What `parse_share` has read, as CONFIG GET prints it."""
    return f"{-value}%" if value < 0 else str(value)


def clamped(low: int, high: int) -> Parse:
    """A whole number, taken to the nearest that is allowed."""
    parse_any = integer(0, INT_MAX)
    return lambda text: min(high, max(low, parse_any(text)))


def choice(*names: str, unlisted: tuple[str, ...] = (), same: Mapping[str, str] = {}) -> Parse:
    """One of some words; `unlisted` are not in the error, `same` are other words for one."""

    def parse(text: str) -> str:
        word = text.lower()
        if word not in (*names, *unlisted):
            listed = ", ".join(names)
            raise ConfigError(f"argument(s) must be one of the following: {listed}")
        return same.get(word, word)

    return parse


_SHUTDOWN_WORDS = ("default", "save", "nosave", "now", "force")


def parse_shutdown(text: str) -> str:
    """What a signal means to SHUTDOWN: words in any order, kept in Redis's order."""
    words = text.split(" ")
    parse_word = choice(*_SHUTDOWN_WORDS)
    given = {parse_word(word) for word in words}
    if given >= {"save", "nosave"}:
        raise ConfigError("shutdown options SAVE and NOSAVE can't be used simultaneously")
    kept = [word for word in _SHUTDOWN_WORDS[1:] if word in given]
    return " ".join(kept) or "default"


_CLIENT_CLASSES = {"normal": "normal", "slave": "slave", "replica": "slave", "pubsub": "pubsub"}


def parse_output_limits(text: str) -> dict[str, tuple[int, int, int]]:
    """Hard bytes, soft bytes and soft seconds by class from "normal 0 0 0 pubsub 32mb 8mb 60".

    Classes that are not named are not in the answer; a change leaves them as they are.
    """
    words = text.split()
    if len(words) % 4:
        raise ConfigError("Wrong number of arguments in buffer limit configuration.")
    limits = {}
    for name, *numbers in zip(*[iter(words)] * 4, strict=True):
        if name.lower() not in _CLIENT_CLASSES:
            raise ConfigError("Invalid client class specified in buffer limit configuration.")
        try:
            hard, soft = map(parse_memory, numbers[:2])
            seconds = int(numbers[2])
        except ValueError:
            seconds = -1
        if seconds < 0:
            raise ConfigError(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration."
            )
        limits[_CLIENT_CLASSES[name.lower()]] = (hard, soft, seconds)
    return limits


def format_output_limits(limits: Mapping[str, tuple[int, int, int]]) -> str:
    """The limits as CONFIG GET prints them."""
    return " ".join(
        f"{name} {hard} {soft} {seconds}" for name, (hard, soft, seconds) in limits.items()
    )


def parse_percentiles(text: str) -> tuple[float, ...]:
    """The percentiles of INFO latencystats from "50 99 99.9"; none from an empty text."""
    percentiles = []
    for word in text.split(" ") if text else ():
        try:
            percentile = float(word)
        except ValueError:
            raise ConfigError("Invalid latency-tracking-info-percentiles parameters") from None
        if not 0 <= percentile <= 100:
            raise ConfigError(
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
            )
        percentiles.append(percentile)
    return tuple(percentiles)


def format_percentile(percentile: float) -> str:
    """A percentile as CONFIG GET and INFO print it: six decimals at most, no zeros at the end."""
    return f"{percentile:f}".rstrip("0").rstrip(".")


def format_percentiles(percentiles: tuple[float, ...]) -> str:
    """What `parse_percentiles` has read, as CONFIG GET prints it."""
    return " ".join(map(format_percentile, percentiles))
