"""The engine as a master: who follows it, how far, and the bytes that all of them get.

A replica is a client with a socket that has sent SYNC or PSYNC. It is answered with a copy of
everything (`Replicas.copied`), made in the background; what happens meanwhile is held for it. From
then on it gets the effects (see `propagation`) in RESP, with a SELECT where the database changes
and a PING now and then. What was sent last is kept in the backlog, so that a replica whose
connection broke can go on from there.

While nobody follows and there is no backlog any more, the engine tells of nothing. A replica can
have replicas too (see `following`). Left out on purpose: sending without a copy in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cacheapp.engine import propagation
from cacheapp.engine.persistence import copying
from cacheapp.engine.persistence.replay import packed
from cacheapp.engine.replies import BLOCKED, BUSY, Raw, Reply

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.session import Session

_PING = [b"PING"]
_GET_ACK = [b"REPLCONF", b"GETACK", b"*"]
# The backlog may be so many times its size before it is cut.
_BACKLOG_FACTOR = 2


class Replica:
    """What is known of one who follows, or has said that it is going to."""

    __slots__ = (
        "address",
        "call_off",
        "confirms",
        "connected",
        "copies_only",
        "heard",
        "held",
        "held_bytes",
        "is_online",
        "offset",
        "payload_bytes",
        "port",
        "wants_functions",
        "wants_keys",
    )

    def __init__(self) -> None:
        self.is_online = False
        # What it listens at itself, as it says; an empty address for that of its socket.
        self.port = 0
        self.address = ""
        # How much it has confirmed, and when, in seconds; 0 if it never has.
        self.offset = 0
        self.heard = 0.0
        # Since when it gets the stream, which those who have sent SYNC do not confirm.
        self.connected = 0.0
        self.confirms = True
        # Tools that take a copy and do not follow, and what is to be in it.
        self.copies_only = False
        self.wants_keys = self.wants_functions = True
        # How long the copy was, which does not count as unread output.
        self.payload_bytes = 0
        # What is to follow the copy, as long as that is being made; else None.
        self.held: list[bytes] | None = None
        self.held_bytes = 0
        # Ends the making of its copy, as long as that goes on.
        self.call_off: Callable[[], None] | None = None


class Replicas:
    """A sink that sends to all replicas, and their state."""

    kind = propagation.TO_REPLICAS

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.by_session: dict[Session, Replica] = {}
        # Bytes sent since the engine began.
        self.offset = 0
        self.backlog = bytearray()
        self.is_active = False
        self._selected = -1
        self._unsent: list[bytes] = []
        self._pinged = 0.0
        # Since when nobody follows.
        self._alone_since = 0.0
        # Who waits for how many to confirm what (WAIT).
        self._waiting: dict[Session, tuple[int, int]] = {}

    # As a sink

    def feed(self, db_index: int, args: list[bytes]) -> None:
        """Take one command; of a replica, only what its master does."""
        following = self._engine.following
        if following is not None and not following.applying and args != _PING:
            return
        if db_index != self._selected:
            self._selected = db_index
            self._unsent.append(packed([b"SELECT", b"%d" % db_index]))
        self._unsent.append(packed(args))

    def settle(self) -> None:
        """Send what was taken."""
        if not self._unsent:
            return
        data = b"".join(self._unsent)
        self._unsent.clear()
        self.offset += len(data)
        self.backlog += data
        size: int = self._engine.config["repl-backlog-size"]
        if len(self.backlog) > size * _BACKLOG_FACTOR:
            del self.backlog[:-size]
        for session in self.online():
            replica = self.by_session[session]
            if replica.held is None:
                session.deliver(Raw(data))
            else:
                self._hold(session, replica, data)

    def _hold(self, session: Session, replica: Replica, data: bytes) -> None:
        """Keep `data` until the copy before it is there; too much, and the replica has to go."""
        assert replica.held is not None
        replica.held.append(data)
        replica.held_bytes += len(data)
        limit: int = self._engine.config["client-output-buffer-limit"]["slave"][0]
        if 0 < limit < replica.held_bytes:
            replica.is_online = False
            replica.held.clear()
            session.kill(None)

    # Replicas

    def online(self) -> list[Session]:
        """The sessions of those who follow."""
        return [session for session, replica in self.by_session.items() if replica.is_online]

    def known(self, session: Session) -> Replica:
        """What is known of `session` as a replica, from now on something."""
        if session.replica is None:
            session.replica = self.by_session[session] = Replica()
        return session.replica

    def copied(self, session: Session, *, names_itself: bool) -> Reply:
        """Have everything sent to `session`, who follows from now on; as PSYNC does if it asked so.

        Until then it is BLOCKED.
        """
        engine, replica = self._engine, self.known(session)
        if not self.is_active and not replica.copies_only:
            self.is_active = True
            self._pinged = engine.now
            propagation.listen(engine, self)
        self._selected = -1
        replica.confirms = names_itself
        if names_itself:
            name = engine.replication_id.encode()
            session.deliver(Raw(b"+FULLRESYNC %b %d\r\n" % (name, self.offset)))
        engine.stats.full_syncs += 1
        if not replica.copies_only:
            self._follow(session)
            replica.held, replica.held_bytes = [], 0
        replica.call_off = copying.begin(
            engine,
            lambda copy: self._send(session, replica, copy),
            keys=replica.wants_keys,
            functions=replica.wants_functions,
        )
        return BLOCKED

    def _send(self, session: Session, replica: Replica, copy: bytes | None) -> None:
        """Send a copy, and what came after it, unless the replica is gone."""
        held, replica.held = replica.held or [], None
        replica.call_off = None
        if session.replica is not replica or not (replica.is_online or replica.copies_only):
            return
        if copy is None:
            session.kill(None)
            return
        replica.payload_bytes = len(copy)
        replica.connected = self._engine.now
        session.deliver(Raw(b"".join((b"$%d\r\n" % len(copy), copy, *held))))

    def resumed(self, session: Session, replication_id: bytes, offset: int) -> Raw | None:
        """What `session` has missed from `offset` on; None where that is not known any more."""
        engine = self._engine
        first = self.offset - len(self.backlog) + 1
        name = engine.replication_id.encode()
        if replication_id != name or not self.is_active or not first <= offset <= self.offset + 1:
            if replication_id != b"?":
                engine.stats.refused_partial_syncs += 1
            return None
        engine.stats.partial_syncs += 1
        self._follow(session).offset = offset - 1
        return Raw(b"+CONTINUE %b\r\n" % name + bytes(self.backlog[offset - first :]))

    def _follow(self, session: Session) -> Replica:
        replica = self.known(session)
        replica.is_online = True
        replica.connected = self._engine.now
        session.refresh()
        self._engine.reconsider()
        return replica

    def forget(self, session: Session) -> None:
        """`session` is gone."""
        self._waiting.pop(session, None)
        replica, session.replica = session.replica, None
        if replica is not None and replica.call_off is not None:
            replica.call_off()
        if self.by_session.pop(session, None) is not None and not self.online():
            self._alone_since = self._engine.now

    def stop(self) -> None:
        """Let the backlog go, and tell of nothing until somebody follows again."""
        self.is_active = False
        self.backlog.clear()
        propagation.ignore(self._engine, self)

    def tick(self) -> None:
        """Ping, drop who was not heard for too long, end what nobody needs any more."""
        engine = self._engine
        if not self.is_active:
            return
        now, config = engine.now, engine.config
        online = self.online()
        if not online:
            ttl: int = config["repl-backlog-ttl"]
            if ttl and now - self._alone_since >= ttl:
                self.stop()
            return
        if now - self._pinged >= config["repl-ping-replica-period"]:
            self._pinged = now
            self.feed(max(self._selected, 0), _PING)
            self.settle()
            for session in online:
                if self.by_session[session].held is not None:
                    session.deliver(BUSY)
        for session in online:
            replica = self.by_session[session]
            heard = max(replica.heard, replica.connected)
            if replica.confirms and replica.held is None and now - heard > config["repl-timeout"]:
                session.kill(None)

    # What they confirm

    def acknowledge(self, session: Session, offset: int) -> None:
        """`session` has processed the stream up to `offset`."""
        replica = session.replica
        if replica is None or not replica.is_online:
            return
        replica.offset = max(replica.offset, offset)
        replica.heard = self._engine.now
        waiters = self._engine.waiters
        for waiting, (wanted, target) in list(self._waiting.items()):
            count = self.confirmed(target)
            waiter = waiters.by_session.get(waiting)
            if waiter is None:
                del self._waiting[waiting]
                continue
            waiter.timed_out = count
            if count >= wanted:
                del self._waiting[waiting]
                waiters.unblock(waiting, with_error=False)

    def confirmed(self, offset: int) -> int:
        """How many have processed the stream up to `offset`."""
        return sum(
            replica.is_online and replica.offset >= offset for replica in self.by_session.values()
        )

    def wait(self, session: Session, wanted: int, timeout_ms: int) -> Reply:
        """How many have confirmed all that was sent, once those are `wanted`, or in time."""
        target = self.offset
        count = self.confirmed(target)
        if count >= wanted or session.may_not_wait:
            return count
        reply = self._engine.waiters.wait(
            session, (), None, lambda _session, _key: None, timeout_ms=timeout_ms, timed_out=count
        )
        if reply is BLOCKED:
            self._waiting[session] = wanted, target
        if reply is BLOCKED and self.online():
            self.feed(max(self._selected, 0), _GET_ACK)
            self.settle()
        return reply

    def are_enough(self) -> bool:
        """Whether as many are well as writes ask for (`min-replicas-to-write`)."""
        config = self._engine.config
        wanted: int = config["min-replicas-to-write"]
        if self._engine.following is not None:
            return True
        return not wanted or not config["min-replicas-max-lag"] or self.good() >= wanted

    def good(self) -> int:
        """How many were heard of late enough for `min-replicas-max-lag`."""
        lag: int = self._engine.config["min-replicas-max-lag"]
        now = self._engine.now
        return sum(
            replica.is_online and now - (replica.heard or replica.connected) <= lag
            for replica in self.by_session.values()
        )
