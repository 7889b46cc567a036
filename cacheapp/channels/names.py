"""Names: whose a channel is, and the keys under which a server holds what.

    <prefix>:g:<group>      stream      what was sent to a group
    <prefix>:p:<process>    stream      what is for one process: messages of its channels, signals
    <prefix>:full:<process> set         its channels that are full
    <prefix>:c:<channel>    list        messages of a channel that belongs to no process
    <prefix>:m:<channel>    hash        the groups which that channel is in
    <prefix>:w:<channel>    set         the processes that wait for it
    <prefix>:t:<process>:<channel>
                            list        what a process did last with it: a number, messages it took

A channel of a process is called ``prefix.process!rest``. Left out on purpose: validation, which
channels itself defines.
"""

from __future__ import annotations

import secrets

__all__ = ["Keys", "channel_name", "new_process", "owner_of"]


def new_process() -> str:
    """Return a name for a layer of this process that no other has."""
    return secrets.token_hex(8)


def channel_name(prefix: str, process: str) -> str:
    """Return a new name of a channel of ``process``."""
    return f"{prefix}.{process}!{secrets.token_hex(10)}"


def owner_of(channel: str) -> str | None:
    """Return the process that a channel belongs to, by its name; None for a general one."""
    front, mark, _ = channel.partition("!")
    return front.rpartition(".")[2] if mark else None


class Keys:
    """The keys of one layer. ``prefix`` goes before all of them."""

    __slots__ = ("everything", "groups", "processes", "start")

    def __init__(self, prefix: str) -> None:
        self.start = f"{prefix}:".encode()
        self.groups = self.start + b"g:"
        self.processes = self.start + b"p:"
        escaped = prefix
        for special in "\\*?[]":
            escaped = escaped.replace(special, "\\" + special)
        self.everything = f"{escaped}:*".encode()

    def group(self, name: str) -> bytes:
        """Return the key of a group's stream."""
        return self.groups + name.encode()

    def process(self, name: str) -> bytes:
        """Return the key of a process's stream."""
        return self.processes + name.encode()

    def full(self, process: str) -> bytes:
        """Return the key of the set of a process's full channels."""
        return self.start + b"full:" + process.encode()

    def general(self, channel: str, process: str | None = None) -> tuple[bytes, ...]:
        """Return the keys of a general channel: messages, groups, who waits.

        Given a process, the key of what that did last as well.
        """
        name = channel.encode()
        keys = self.start + b"c:" + name, self.start + b"m:" + name, self.start + b"w:" + name
        if process is None:
            return keys
        return (*keys, self.start + b"t:" + process.encode() + b":" + name)
