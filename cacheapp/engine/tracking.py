"""Client-side caching: which clients keep which keys, and telling them when a key changes.

A client that asked for it (CLIENT TRACKING ON) is remembered, by its id, for each key that a
reading command of its names; the first change of the key sends it an `invalidate` push and forgets
it. In BCAST mode nothing is remembered: clients name prefixes, and each change of a key is sent to
those whose prefix it has, gathered until the command is over. Keys stand for their names only:
databases are not told apart.

What a client's own command invalidates reaches it after the reply of that command. `settle` sees
to that: where there are such messages it delivers the reply before them, and the command answers
NO_REPLY.

The engine pays nothing while no client tracks. When the first one does, its precomputed flags
change (`Engine.reconsider`): events are announced here, each command is noted, and none takes the
way of `shortcuts`. The table of keys holds `tracking-table-max-keys` at most; the oldest go, which
their clients are told.

Left out on purpose: a client in the engine's own process whose calls return at once
(`Session.direct`) has nobody to read a message, and gets none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cacheapp.engine.replies import BLOCKED, NO_REPLY, Push, Reply

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.session import Session

# Among the engine's event flags: that changes are announced to `Tracking` too.
TRACKED = "tracked"
CHANNEL = b"__redis__:invalidate"

BCAST, OPTIN, OPTOUT = "bcast", "optin", "optout"

# Keys that leave a table which is too large, in the first step; each further step takes more.
_EFFORT_KEYS = 100
# Their keys count once the script has run a reading command, as those of other scripts do.
_SCRIPTS = frozenset({"EVAL_RO", "EVALSHA_RO", "FCALL_RO"})
# Nobody's doing, so that NOLOOP hides them from nobody.
_OWN_EVENTS = frozenset({b"expired", b"evicted"})

# Who is told, and what.
_Message = tuple["Session", Push]
# The session whose command runs, and the keys that it will be told of (None: all keys).
Act = tuple["Session | None", list[bytes | None]]


class Tracker:
    """How one session is told: a mode ("" is the default one) and where its messages go."""

    __slots__ = ("broken", "caching", "mode", "noloop", "prefixes", "redirect")

    def __init__(self) -> None:
        self.mode = ""
        self.noloop = False
        # The id of the session that gets the messages in its place; 0 for none.
        self.redirect = 0
        # That session was gone when there was something to tell it.
        self.broken = False
        # CLIENT CACHING was given for the next command.
        self.caching = False
        self.prefixes: set[bytes] = set()


class _Prefix:
    """The sessions that broadcasts with this prefix go to, and the keys to tell them of.

    With each key goes the session that changed it, None for nobody in particular.
    """

    __slots__ = ("keys", "sessions")

    def __init__(self) -> None:
        self.keys: dict[bytes, Session | None] = {}
        self.sessions: dict[Session, None] = {}


class Tracking:
    """All tracking of an engine."""

    __slots__ = (
        "_effort_keys", "_engine", "_pending", "_prefix_lengths", "_prefixes", "_unsent", "active",
        "clients", "current", "items", "keys", "script",
    )  # fmt: skip

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.active = False
        self.clients = 0
        # Who may hold a key, by id. In order of age, whose first is found at once.
        self.keys: OrderedDict[bytes, set[int]] = OrderedDict()
        self.items = 0
        self._prefixes: dict[bytes, _Prefix] = {}
        # Their lengths, of which there are few where prefixes are many.
        self._prefix_lengths: set[int] = set()
        self._unsent = False
        self._effort_keys = _EFFORT_KEYS
        # The session whose command runs, and what it will be told after the reply.
        self.current: Session | None = None
        self._pending: list[bytes | None] = []
        # The caller of the script that runs, and the keys that it declared.
        self.script: tuple[Session, Sequence[bytes]] | None = None

    @property
    def prefixes(self) -> int:
        """How many prefixes are broadcast."""
        return len(self._prefixes)

    # Who tracks

    def start(
        self, session: Session, mode: str, *, noloop: bool, redirect: int, prefixes: Iterable[bytes]
    ) -> None:
        """Track for `session`, or change how; prefixes are added to those that it has."""
        tracker = session.tracking
        if tracker is None:
            tracker = session.tracking = Tracker()
            session.refresh()
            self.clients += 1
        tracker.mode, tracker.noloop, tracker.redirect = mode, noloop, redirect
        tracker.broken = False
        if mode == BCAST:
            for prefix in list(prefixes) or [b""]:
                self._prefixes.setdefault(prefix, _Prefix()).sessions[session] = None
                tracker.prefixes.add(prefix)
            self._prefix_lengths = set(map(len, self._prefixes))
        self._switch()

    def stop(self, session: Session) -> None:
        """Track no more for `session`; no change where nothing was tracked.

        Its id stays in the table until the keys change or the last client stops.
        """
        tracker = session.tracking
        if tracker is None:
            return
        session.tracking = None
        session.refresh()
        self.clients -= 1
        for prefix in tracker.prefixes:
            state = self._prefixes[prefix]
            del state.sessions[session]
            if not state.sessions:
                del self._prefixes[prefix]
        self._prefix_lengths = set(map(len, self._prefixes))
        self._switch()

    def _switch(self) -> None:
        if self.active != bool(self.clients):
            self.active = bool(self.clients)
            self._forget_keys()
            self._engine.reconsider()

    def _forget_keys(self) -> None:
        self.keys.clear()
        self.items = 0

    # Around a command

    def enter(self, session: Session) -> Act:
        """Begin a command of `session`, maybe inside another's (`leave` returns to that)."""
        act = self.current, self._pending
        self.current, self._pending = session, []
        return act

    def leave(self, act: Act) -> None:
        """Tell who has been served what its command invalidated; the reply went before."""
        served, pending = self.current, self._pending
        self.current, self._pending = act
        if served is not None:
            _deliver(self._messages(served, pending))

    def settle(self, session: Session, row: Command, reply: Reply) -> Reply:
        """End a command of `session` and tell all that it invalidated; what to reply.

        `reply` may be an error. NO_REPLY comes back where it had to be delivered here.
        """
        pending, self._pending, self.current = self._pending, [], None
        self.script = None
        self.use_caching(session, row)
        messages = self._messages(session, pending)
        messages += self._broadcasts()
        if not messages:
            return reply
        told = any(receiver is session for receiver, _ in messages)
        if told and not session.direct and reply is not BLOCKED and reply is not NO_REPLY:
            session.deliver(reply)
            reply = NO_REPLY
        _deliver(messages)
        return reply

    def use_caching(self, session: Session, row: Command | None) -> None:
        """CLIENT CACHING holds for the next command, or the next transaction."""
        tracker = session.tracking
        if tracker is not None and tracker.caching and session.queue is None:
            tracker.caching = row is not None and row.name.startswith("CLIENT|")

    def note(self, session: Session, row: Command, args: list[bytes]) -> None:
        """Remember who has read the keys of a command; of a script, all that it declared."""
        if "readonly" not in row.flags or row.name in _SCRIPTS:
            return
        declared: Sequence[bytes] | None = None
        if session.is_script:
            assert self.script is not None
            session, declared = self.script
        tracker = session.tracking
        if tracker is None or tracker.mode == BCAST:
            return
        if tracker.mode and tracker.caching != (tracker.mode == OPTIN):
            return
        if declared is None:
            try:
                declared = [args[index] for index in row.key_positions(args)]
            except ValueError:
                # The command has said what is wrong with its arguments.
                return
        for key in declared:
            ids = self.keys.get(key)
            if ids is None:
                ids = self.keys[key] = set()
            if session.id not in ids:
                ids.add(session.id)
                self.items += 1

    # What changes

    def changed(self, key: bytes, event: bytes | None) -> None:
        """Tell who may hold `key` that it has changed, or note whom to tell."""
        if self._prefixes:
            author = None if event in _OWN_EVENTS or self.script else self.current
            for length in self._prefix_lengths:
                state = self._prefixes.get(key[:length])
                if state is not None:
                    state.keys[key] = author
                    self._unsent = True
        self._invalidate(key)

    def _invalidate(self, key: bytes) -> None:
        ids = self.keys.pop(key, None)
        if ids is None:
            return
        self.items -= len(ids)
        for number in ids:
            session = self._engine.sessions.get(number)
            tracker = session.tracking if session is not None else None
            if session is None or tracker is None or tracker.mode == BCAST:
                continue
            if session is not self.current:
                _deliver(self._messages(session, [key]))
            elif not tracker.noloop:
                self._pending.append(key)

    def flushed(self) -> None:
        """Tell everybody that all keys are gone, of one database or of all."""
        if not self.active:
            return
        for session in list(self._engine.sessions.values()):
            if session.tracking is None:
                continue
            if session is self.current:
                self._pending.append(None)
            else:
                _deliver(self._messages(session, [None]))
        self._forget_keys()

    def limit(self) -> None:
        """Forget the oldest keys beyond `tracking-table-max-keys`, a bounded number a call."""
        keys_max = self._engine.config["tracking-table-max-keys"]
        if not keys_max:
            return
        effort = self._effort_keys
        while len(self.keys) > keys_max:
            if not effort:
                self._effort_keys += _EFFORT_KEYS
                return
            effort -= 1
            self._invalidate(next(iter(self.keys)))
        self._effort_keys = _EFFORT_KEYS

    def tick(self) -> None:
        """What no command does: send what expired keys left, and keep to the limit."""
        _deliver(self._broadcasts())
        if not self._engine.cron_paused:
            self.limit()

    # What is said

    def _broadcasts(self) -> list[_Message]:
        """What is to be told by prefix, which is then no longer to be told."""
        if not self._unsent:
            return []
        self._unsent = False
        messages: list[_Message] = []
        for prefix in sorted(self._prefixes):
            state = self._prefixes[prefix]
            keys, state.keys = state.keys, {}
            for session in state.sessions:
                noloop = session.tracking is not None and session.tracking.noloop
                told = sorted(key for key in keys if not (noloop and keys[key] is session))
                if told:
                    messages += self._message(session, told)
        return messages

    def _messages(self, session: Session, keys: Iterable[bytes | None]) -> list[_Message]:
        """What `session`, or who gets its messages, is told of each of `keys`."""
        messages: list[_Message] = []
        for key in keys:
            messages += self._message(session, None if key is None else [key])
        return messages

    def _message(self, session: Session, keys: list[bytes] | None) -> list[_Message]:
        """One message about `keys` (None: all); none where nobody could read it."""
        tracker = session.tracking
        if tracker is None:
            return []
        receiver: Session | None = session
        if tracker.redirect:
            receiver = self._engine.sessions.get(tracker.redirect)
        if receiver is None:
            tracker.broken = True
            if session.protocol == 2:
                return []
            return [(session, Push([b"tracking-redir-broken", tracker.redirect]))]
        if receiver.protocol == 3:
            return [(receiver, Push([b"invalidate", keys]))]
        if tracker.redirect and receiver.is_subscribed:
            return [(receiver, Push([b"message", CHANNEL, keys]))]
        return []


def _deliver(messages: Iterable[_Message]) -> None:
    for receiver, push in messages:
        if not receiver.direct:
            receiver.deliver(push)
