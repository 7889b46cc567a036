"""One client's state: its database, its MULTI queue, what it watches and subscribes to.

A front makes a session through `Engine.connect` and gives it `deliver`, the one way in which
anything reaches a client other than as the answer of `Engine.execute`: pub/sub messages, and the
replies of commands that had to wait (a CommandError among them is an error reply). `deliver` is
called under the engine's lock; it must neither wait nor call the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from cacheapp.engine.replies import NO_REPLY, Push, Reply, to_resp2
from cacheapp.engine.watching import unwatch

if TYPE_CHECKING:
    from cacheapp.engine.acl import User
    from cacheapp.engine.database import Database
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.replicas import Replica
    from cacheapp.engine.tracking import Tracker

Deliver = Callable[[Reply], None]

MUTED_ONCE, MUTED = 1, 2
# The file and the replicas, as redis.set_repl numbers them.
EFFECTS_TO_ALL = 3
# An element of a reply: its type, its length, and two line ends.
_ELEMENT_BYTES_MIN = 6


class Front(Protocol):
    """What a session may ask of the socket behind it. Called under the engine's lock."""

    def fields(self) -> dict[str, Any]:
        """The fields of a CLIENT LIST line that only a socket has (laddr, fd, omem …)."""

    def memory_bytes(self) -> int:
        """What the socket's buffers take: requests that wait, replies that are not read."""

    def hang_up(self) -> None:
        """Close the connection soon, without sending what it still holds (CLIENT KILL)."""

    def finish(self) -> None:
        """Close the connection soon, once what it still holds is sent."""


class Session:
    """What the engine knows of one client. Handlers get it as their first argument."""

    __slots__ = (
        "_deliver",
        "_weighed",
        "address",
        "authenticated",
        "channels",
        "closing",
        "created_ms",
        "db",
        "direct",
        "effects_to",
        "engine",
        "front",
        "hung_up",
        "id",
        "is_script",
        "last_active",
        "last_command",
        "lib_name",
        "lib_version",
        "login_required",
        "monitoring",
        "muted",
        "name",
        "no_evict",
        "no_touch",
        "patterns",
        "protocol",
        "queue",
        "queue_failed",
        "replica",
        "restricted",
        "shard_channels",
        "special",
        "touched",
        "tracking",
        "user",
        "watched",
    )

    def __init__(self, engine: Engine, session_id: int, deliver: Deliver, protocol: int) -> None:
        self.engine = engine
        self.id = session_id
        self._deliver = deliver
        self.created_ms = engine.now_ms
        # When its last command began, in seconds.
        self.last_active = engine.now
        self.last_command = "NULL"
        self.address = ""
        # None where there is no socket: clients in the engine's own process.
        self.front: Front | None = None
        # Where there is none: what to call when CLIENT KILL has ended the session. From any thread,
        # under the engine's lock.
        self.hung_up: Callable[[], None] | None = None
        self.is_script = False
        # Who is sent what its commands change; a script can choose (redis.set_repl).
        self.effects_to = EFFECTS_TO_ALL
        # The calls of this client return at once: it is not to be kept waiting by CLIENT PAUSE.
        self.direct = False
        # Set by QUIT and CLIENT KILL: the front closes once it has sent the reply.
        self.closing = False
        self.monitoring = False
        # What is known of it as one that follows, if it does.
        self.replica: Replica | None = None
        # None where CLIENT TRACKING is off.
        self.tracking: Tracker | None = None
        # By key: whether it is due but not yet reclaimed, and so not there to who watches it.
        self.watched: dict[tuple[Database, bytes], bool] = {}
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}
        self.lib_name = b""
        self.lib_version = b""
        self.reset(protocol)

    def reset(self, protocol: int) -> None:
        """The state of a client that has just connected (HELLO's protocol aside)."""
        self.db: Database = self.engine.databases[0]
        self.protocol = protocol
        self.name = b""
        # Before it logs in, a client is the default user, who may be one that lets anybody in.
        self.user: User = self.engine.acl.default
        self.authenticated = self.user.lets_anybody_in
        self.no_evict = False
        self.no_touch = False
        # CLIENT REPLY: 0 for ON, MUTED_ONCE for SKIP, MUTED for OFF.
        self.muted = 0
        if self.monitoring:
            self.engine.monitor(self, wanted=False)
        if self.tracking is not None:
            self.engine.tracking.stop(self)
        self.queue: list[tuple[Command, list[bytes]]] | None = None
        self.queue_failed = False
        # How many commands of the queue `queued_bytes` has seen, and their bytes.
        self._weighed = 0, 0
        self.touched = False
        self.refresh()

    def refresh(self) -> None:
        """Recompute `special`: whether a command of this session needs more than the usual checks.

        To be called by whoever changes protocol, queue, subscriptions, tracking, authentication
        or the rules of the user.
        """
        self.login_required = not self.authenticated and self.engine.acl.login_required
        self.restricted = self.user.restricted
        self.special = (
            self.queue is not None
            or self.login_required
            or self.restricted
            or self.monitoring
            or self.replica is not None
            or self.closing
            or self.no_touch
            or self.tracking is not None
            or self.muted != 0
            or (self.protocol == 2 and self.is_subscribed)
        )

    @property
    def may_not_wait(self) -> bool:
        """Whether a blocking command must answer at once: inside EXEC or a script."""
        return self.queue is not None or self.is_script

    @property
    def memory_bytes(self) -> int:
        """What the client's buffers take: those of its socket."""
        return 0 if self.front is None else self.front.memory_bytes()

    def queued_bytes(self) -> int:
        """What the arguments of the commands that wait for EXEC take. Each is counted once."""
        count, total = self._weighed
        if self.queue is not None and count < len(self.queue):
            total += sum(sum(map(len, args)) for _, args in self.queue[count:])
            self._weighed = len(self.queue), total
        return total

    def instead_of(self, elements: int) -> Reply:
        """None, or what to answer where so many elements are surely beyond the output's hard limit.

        Then the client is dropped, as it would be with the reply, before that is made.
        """
        hard, _, _ = self.engine.config["client-output-buffer-limit"][self.output_class]
        if self.front is None or not 0 < hard < elements * _ELEMENT_BYTES_MIN:
            return None
        self.front.hang_up()
        return [] if self.may_not_wait else NO_REPLY

    def may(self, allowed: str) -> bool:
        """Whether a switch of `no`, `yes` and `local` lets this client do what it guards."""
        return allowed == "yes" or (allowed == "local" and self.is_local)

    @property
    def host(self) -> str:
        """The address without its port."""
        return self.address.rpartition(":")[0]

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine: no IP address, or a loopback one."""
        host = self.host
        return host.startswith(("127.", "[::1]")) or not (host[:1].isdigit() or host[:1] == "[")

    @property
    def client_type(self) -> str:
        """The class that CLIENT LIST and KILL know it by: normal, pubsub, replica, master."""
        if self.replica is not None and self.replica.is_online:
            return "replica"
        if self.engine.following is not None and self.engine.following.session is self:
            return "master"
        return "pubsub" if self.is_subscribed else "normal"

    @property
    def output_class(self) -> str:
        """The class that limits of output know it by."""
        kind = self.client_type
        return {"replica": "slave", "master": "slave"}.get(kind, kind)

    @property
    def subscriptions(self) -> int:
        """Channels and patterns together, the count that their confirmations carry."""
        return len(self.channels) + len(self.patterns)

    @property
    def is_subscribed(self) -> bool:
        """Whether the session listens to anything: a channel, a pattern, a shard channel."""
        return bool(self.channels or self.patterns or self.shard_channels)

    def deliver(self, reply: Reply) -> None:
        """Hand `reply`, RESP3-shaped, to the front in this session's protocol.

        A socket's front gets NO_REPLY where a command that had to wait is done and says nothing.
        """
        if self.muted and type(reply) is not Push:
            reply = NO_REPLY
        if reply is NO_REPLY and self.front is None:
            return
        self._deliver(to_resp2(reply) if self.protocol == 2 else reply)

    def kill(self, by: Session | None) -> None:
        """End the session at once; where `by`, who runs a command, is itself: after its reply.

        A client in the engine's own process has no socket to close: what it waits for ends with an
        error.
        """
        self.closing = True
        self.refresh()
        if self is by:
            return
        if self.front is not None:
            self.front.hang_up()
        else:
            self.engine.waiters.unblock(self, with_error=True)
        self.end()

    def finish(self) -> None:
        """Let the client get what it is owed, and close; one without a socket stays."""
        if self.front is not None:
            self.front.finish()

    def end(self) -> None:
        """Take the session off the engine, and tell a client without a socket; again is fine."""
        self.engine.disconnect(self)
        if self.hung_up is not None:
            self.hung_up()

    def unwatch(self) -> None:
        """Forget all watched keys, and that any was touched."""
        for database, key in self.watched:
            unwatch(database, key, self)
        self.watched.clear()
        self.touched = False

    def discard(self) -> None:
        """Leave MULTI: forget the queue, what spoilt it, and the watches."""
        self.queue = None
        self.queue_failed = False
        self._weighed = 0, 0
        self.unwatch()
        self.refresh()

    def describe(self) -> dict[str, Any]:
        """The fields of a CLIENT LIST line, in Redis's order, without what only sockets have."""
        now_ms = self.engine.now_ms
        flags = "O" if self.monitoring else ""
        flags += {"replica": "S", "master": "M"}.get(self.client_type, "")
        if self.is_subscribed:
            flags += "P"
        if self.queue is not None:
            flags += "x"
        if self in self.engine.waiters.by_session or self in self.engine.pause.kept:
            flags += "b"
        tracker = self.tracking
        if tracker is not None:
            flags += f"t{'R' * tracker.broken}{'B' * (tracker.mode == 'bcast')}"
        if self.touched:
            flags += "d"
        if self.no_evict:
            flags += "e"
        if self.no_touch:
            flags += "T"
        fields = {
            "id": self.id,
            "addr": self.address,
            "laddr": "",
            "fd": -1,
            "name": self.name.decode("utf-8", "replace"),
            "age": max(0, now_ms - self.created_ms) // 1000,
            "idle": max(0, int(self.engine.now - self.last_active)),
            "flags": flags or "N",
            "db": self.db.index,
            "sub": len(self.channels),
            "psub": len(self.patterns),
            "ssub": len(self.shard_channels),
            "multi": -1 if self.queue is None else len(self.queue),
            "qbuf": 0,
            "qbuf-free": 0,
            "argv-mem": 0,
            "multi-mem": 0,
            "rbs": 0,
            "rbp": 0,
            "obl": 0,
            "oll": 0,
            "omem": 0,
            "tot-mem": 0,
            "events": "r",
            "cmd": self.last_command,
            "user": self.user.name.decode("utf-8", "replace"),
            "redir": -1 if tracker is None else tracker.redirect,
            "resp": self.protocol,
            "lib-name": self.lib_name.decode("ascii"),
            "lib-ver": self.lib_version.decode("ascii"),
            # Redis 7.4 has it behind `multi`; here what is new comes after what 7.0 has.
            "watch": len(self.watched),
        }
        if self.front is not None:
            fields.update(self.front.fields())
        return fields

    def line(self) -> bytes:
        """The session as a line of CLIENT LIST, without its newline."""
        fields = self.describe().items()
        return " ".join(f"{name}={value}" for name, value in fields).encode("utf-8")


def valid_client_name(name: bytes) -> bool:
    """Whether `name` may be a connection's name: printable ASCII without spaces."""
    return all(33 <= byte <= 126 for byte in name)
