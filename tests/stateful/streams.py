"""Streams and groups as a state machine: the engine, redis-server, and a model that knows better.

Each rule sends one command to both servers and compares the answers. Rules choose from what the
model knows to exist, so claims meet pending entries, cursors go on, and deletions hit what groups
are about to read; random words seldom do. After each step the model's entries and pending lists
must be the engine's, and what XINFO says of a stream must be true: lengths, first and last ids,
counts of pending entries, and a lag that is either not told or right.

Left out on purpose: waiting (differential/blocked.py), ids made from the time, and errors of
syntax, which the grammar of streams has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cacheapp.engine.errors import CommandError
from tests.differential.replies import agree
from tests.differential.sides import EngineSide, RedisSide

KEY = b"stream"
GROUPS = (b"g", b"h")
CONSUMERS = (b"ann", b"bob", b"cyd")
Id = tuple[int, int]
LONG_MS = b"100000000"


def text(entry: Id) -> bytes:
    """An id as commands write it."""
    return b"%d-%d" % entry


def parsed(raw: bytes) -> Id:
    """An id out of a reply."""
    ms, _, number = raw.partition(b"-")
    return int(ms), int(number)


@dataclass
class Group:
    """What the model knows of a group: where it stands, and who owes which acknowledgement."""

    last: Id
    pending: dict[Id, bytes] = field(default_factory=dict)
    # The count of what was read may be wrong where it was told by hand, and 7.0 goes on to count
    # what was trimmed or deleted before it was read; then the lag is just the same on both.
    lag_is_free: bool = False


class StreamMachine(RuleBasedStateMachine):
    """One stream with up to two groups; `redis` is set by who runs the machine."""

    redis: RedisSide

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[Id, bytes] = {}
        self.groups: dict[bytes, Group] = {}
        self.last: Id = (0, 0)
        self.gone: list[Id] = []
        self.cursor = b"0-0"
        self.exists = False

    # Sending

    def both(self, *args: bytes) -> Any:
        """The answer that both servers agree on."""
        expected = self.redis.execute(0, args)
        actual = self.engine.execute(0, args)
        assert agree(self.redis.ask, args, expected, actual), (
            f"{b' '.join(args).decode('latin-1')}\n  redis:  {expected!r}\n  engine: {actual!r}"
        )
        return actual

    @initialize(small=st.booleans())
    def begin(self, small: bool) -> None:
        self.redis.begin(2, small, events=False)
        self.engine = EngineSide(2, small, events=False)
        for number in range(6):
            self.add_one(number % 2, auto=False)
        self.both(b"XGROUP", b"CREATE", KEY, GROUPS[0], b"0")
        self.groups[GROUPS[0]] = Group((0, 0))

    # Choosing

    def some(self, data: st.DataObject, ids: list[Id], most: int = 3) -> list[Id]:
        """A few of `ids`, or ids that were deleted or never were."""
        known = st.sampled_from(sorted(ids)) if ids else st.nothing()
        lost = st.sampled_from(self.gone) if self.gone else st.nothing()
        never = st.tuples(st.integers(0, 60), st.integers(0, 2))
        return data.draw(st.lists(st.one_of(known, known, known, lost, never), min_size=1,
                                  max_size=most))  # fmt: skip

    def forget(self, ids: list[Id]) -> None:
        for entry in ids:
            if self.entries.pop(entry, None) is not None:
                self.gone.append(entry)
                for group in self.groups.values():
                    group.lag_is_free |= entry > group.last

    # Entries

    @rule(steps=st.lists(st.integers(0, 3), min_size=1, max_size=5), auto=st.booleans())
    def add(self, steps: list[int], auto: bool) -> None:
        for step in steps:
            self.add_one(step, auto)

    def add_one(self, step: int, auto: bool) -> None:
        ms = self.last[0] + step
        number = self.last[1] + 1 if step == 0 else 0
        raw = b"%d-*" % ms if auto and ms else text((ms, number))
        value = b"%d" % number
        assert self.both(b"XADD", KEY, raw, b"f", value) == text((ms, number))
        self.exists = True
        self.last = (ms, number)
        self.entries[self.last] = value

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        chosen = self.some(data, list(self.entries))
        present = {entry for entry in chosen if entry in self.entries}
        assert self.both(b"XDEL", KEY, *map(text, chosen)) == len(present)
        self.forget(list(present))

    @precondition(lambda self: self.exists)
    @rule(keep=st.integers(0, 12))
    def trim_to_a_length(self, keep: int) -> None:
        oldest = sorted(self.entries)[: max(0, len(self.entries) - keep)]
        assert self.both(b"XTRIM", KEY, b"MAXLEN", b"%d" % keep) == len(oldest)
        self.forget(oldest)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def trim_to_an_id(self, data: st.DataObject) -> None:
        least = self.some(data, list(self.entries), most=1)[0]
        oldest = [entry for entry in self.entries if entry < least]
        assert self.both(b"XTRIM", KEY, b"MINID", text(least)) == len(oldest)
        self.forget(oldest)

    @precondition(lambda self: self.exists)
    @rule(further=st.integers(0, 2), added=st.none() | st.integers(0, 60))
    def set_the_last_id(self, further: int, added: int | None) -> None:
        last = (self.last[0] + further, self.last[1])
        told = [] if added is None else [b"ENTRIESADDED", b"%d" % added, b"MAXDELETEDID", b"0-0"]
        reply = self.both(b"XSETID", KEY, text(last), *told)
        if not isinstance(reply, CommandError):
            self.last = last
            if told:
                for group in self.groups.values():
                    group.lag_is_free = True

    @precondition(lambda self: self.exists)
    @rule(to=st.sampled_from([b"COPY", b"RENAME"]))
    def move_away_and_back(self, to: bytes) -> None:
        self.both(to, KEY, b"other")
        self.both(b"DEL", KEY)
        self.both(b"RENAME", b"other", KEY)

    @precondition(lambda self: self.exists)
    @rule(sure=st.integers(0, 5))
    def remove(self, sure: int) -> None:
        if sure == 0:
            self.both(b"DEL", KEY)
            self.gone += self.entries
            self.entries, self.groups = {}, {}
            self.last, self.exists = (0, 0), False

    # Groups

    @rule(name=st.sampled_from(GROUPS), data=st.data())
    def create_a_group(self, name: bytes, data: st.DataObject) -> None:
        at = data.draw(st.sampled_from([b"0", b"$"]) | st.just(None))
        place = text(self.some(data, list(self.entries), most=1)[0]) if at is None else at
        reply = self.both(b"XGROUP", b"CREATE", KEY, name, place, b"MKSTREAM")
        if name in self.groups:
            assert str(reply).startswith("BUSYGROUP")
            return
        self.exists = True
        last = {b"0": (0, 0), b"$": self.last}.get(place) or parsed(place)
        # Redis counts from the stream's first entry; from the middle it does not know the lag.
        self.groups[name] = Group((0, 0) if place == b"0" else last)

    @precondition(lambda self: self.groups)
    @rule(name=st.sampled_from(GROUPS), data=st.data(), read=st.none() | st.integers(0, 20))
    def set_a_group(self, name: bytes, data: st.DataObject, read: int | None) -> None:
        place = self.some(data, list(self.entries), most=1)[0]
        told = [] if read is None else [b"ENTRIESREAD", b"%d" % read]
        reply = self.both(b"XGROUP", b"SETID", KEY, name, text(place), *told)
        if name in self.groups:
            self.groups[name].last = place
            self.groups[name].lag_is_free = bool(told)
        else:
            assert str(reply).startswith("NOGROUP")

    @precondition(lambda self: self.groups)
    @rule(name=st.sampled_from(GROUPS), sure=st.integers(0, 3))
    def destroy_a_group(self, name: bytes, sure: int) -> None:
        if sure == 0:
            assert self.both(b"XGROUP", b"DESTROY", KEY, name) == (name in self.groups)
            self.groups.pop(name, None)

    @precondition(lambda self: self.groups)
    @rule(name=st.sampled_from(GROUPS), who=st.sampled_from(CONSUMERS))
    def create_a_consumer(self, name: bytes, who: bytes) -> None:
        self.both(b"XGROUP", b"CREATECONSUMER", KEY, name, who)

    @precondition(lambda self: self.groups)
    @rule(name=st.sampled_from(GROUPS), who=st.sampled_from(CONSUMERS))
    def delete_a_consumer(self, name: bytes, who: bytes) -> None:
        reply = self.both(b"XGROUP", b"DELCONSUMER", KEY, name, who)
        if name in self.groups:
            pending = self.groups[name].pending
            owed = [entry for entry, owner in pending.items() if owner == who]
            assert reply == len(owed)
            for entry in owed:
                del pending[entry]

    # Reading and acknowledging

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), who=st.sampled_from(CONSUMERS), count=st.integers(1, 6),
          no_ack=st.integers(0, 4))  # fmt: skip
    def read_new(self, data: st.DataObject, who: bytes, count: int, no_ack: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.groups)))
        group = self.groups[name]
        flags = [b"NOACK"] if no_ack == 0 else []
        reply = self.both(b"XREADGROUP", b"GROUP", name, who, b"COUNT", b"%d" % count, *flags,
                          b"STREAMS", KEY, b">")  # fmt: skip
        due = sorted(entry for entry in self.entries if entry > group.last)[:count]
        got = [parsed(raw) for raw, _ in reply[0][1]] if isinstance(reply, list) else []
        assert got == due
        if due:
            group.last = due[-1]
            if not flags:
                group.pending.update(dict.fromkeys(due, who))

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), who=st.sampled_from(CONSUMERS))
    def read_history(self, data: st.DataObject, who: bytes) -> None:
        name = data.draw(st.sampled_from(sorted(self.groups)))
        reply = self.both(b"XREADGROUP", b"GROUP", name, who, b"STREAMS", KEY, b"0")
        owned = [entry for entry, owner in self.groups[name].pending.items() if owner == who]
        assert [parsed(raw) for raw, _ in reply[0][1]] == sorted(owned)
        assert all((fields is None or fields == []) == (parsed(raw) not in self.entries)
                   for raw, fields in map(_plain_entry, reply[0][1]))  # fmt: skip

    @precondition(lambda self: self.groups)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.groups)))
        pending = self.groups[name].pending
        chosen = self.some(data, list(pending))
        owed = {entry for entry in chosen if entry in pending}
        assert self.both(b"XACK", KEY, name, *map(text, chosen)) == len(owed)
        for entry in owed:
            del pending[entry]

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), who=st.sampled_from(CONSUMERS), force=st.booleans(),
          just_id=st.booleans(), patient=st.integers(0, 4))  # fmt: skip
    def claim(
        self, data: st.DataObject, who: bytes, force: bool, just_id: bool, patient: int
    ) -> None:
        name = data.draw(st.sampled_from(sorted(self.groups)))
        group = self.groups[name]
        chosen = self.some(data, [*group.pending, *self.entries])
        words = [b"FORCE"] * force + [b"JUSTID"] * just_id
        idle = LONG_MS if patient == 0 else b"0"
        reply = self.both(b"XCLAIM", KEY, name, who, idle, *map(text, chosen), *words)
        claimed = []
        for entry in chosen:
            if entry not in self.entries:
                # Nobody can get it any more, so nobody owes it.
                group.pending.pop(entry, None)
            elif (entry in group.pending and idle == b"0") or (
                entry not in group.pending and force
            ):
                group.pending[entry] = who
                claimed.append(entry)
        got = [parsed(item if just_id else item[0]) for item in reply]
        assert got == claimed

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), who=st.sampled_from(CONSUMERS), count=st.integers(1, 3),
          just_id=st.booleans(), again=st.booleans())  # fmt: skip
    def claim_by_cursor(
        self, data: st.DataObject, who: bytes, count: int, just_id: bool, again: bool
    ) -> None:
        name = data.draw(st.sampled_from(sorted(self.groups)))
        group = self.groups[name]
        start = b"0-0" if again else self.cursor
        reply = self.both(b"XAUTOCLAIM", KEY, name, who, b"0", start, b"COUNT", b"%d" % count,
                          *[b"JUSTID"] * just_id)  # fmt: skip
        self.cursor = reply[0]
        got = [parsed(item if just_id else item[0]) for item in reply[1]]
        dropped = [parsed(raw) for raw in reply[2]]
        due = sorted(entry for entry in group.pending if entry >= parsed(start))
        assert got == [entry for entry in due if entry in self.entries][: len(got)]
        for entry in got:
            group.pending[entry] = who
        for entry in dropped:
            assert entry not in self.entries
            del group.pending[entry]

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), who=st.none() | st.sampled_from(CONSUMERS))
    def list_pending(self, data: st.DataObject, who: bytes | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.groups)))
        only = [] if who is None else [who]
        reply = self.both(b"XPENDING", KEY, name, b"-", b"+", b"100", *only)
        assert [(parsed(raw), owner) for raw, owner, _, _ in reply] == [
            item
            for item in sorted(self.groups[name].pending.items())
            if who is None or item[1] == who
        ]

    # What must always be true

    @invariant()
    def entries_are_the_model_s(self) -> None:
        if not self.exists:
            return
        reply = self.both(b"XRANGE", KEY, b"-", b"+")
        assert {parsed(raw): fields[1] for raw, fields in reply} == self.entries
        assert [parsed(raw) for raw, _ in reply] == sorted(self.entries)
        assert self.both(b"XLEN", KEY) == len(self.entries)

    @invariant()
    def what_is_said_of_the_stream_is_true(self) -> None:
        if not self.exists:
            return
        said = _fields(self.both(b"XINFO", b"STREAM", KEY))
        assert said[b"length"] == len(self.entries)
        assert parsed(said[b"last-generated-id"]) == self.last
        assert said[b"groups"] == len(self.groups)
        first = parsed(said[b"recorded-first-entry-id"])
        assert first == min(self.entries, default=(0, 0))
        self.both(b"XINFO", b"STREAM", KEY, b"FULL", b"COUNT", b"0")

    @invariant()
    def what_is_said_of_groups_is_true(self) -> None:
        if not self.groups:
            return
        told = {said[b"name"]: said for said in map(_fields, self.both(b"XINFO", b"GROUPS", KEY))}
        assert set(told) == set(self.groups)
        for name, group in self.groups.items():
            said = told[name]
            assert said[b"pending"] == len(group.pending)
            assert parsed(said[b"last-delivered-id"]) == group.last
            ahead = sum(entry > group.last for entry in self.entries)
            assert group.lag_is_free or said[b"lag"] in (None, ahead), (said, ahead)
            summary = self.both(b"XPENDING", KEY, name)
            assert summary[0] == len(group.pending)
            owners = {who: int(count) for who, count in _items(summary[3])}
            assert sum(owners.values()) == len(group.pending)
            consumers = map(_fields, self.both(b"XINFO", b"CONSUMERS", KEY, name))
            for consumer in consumers:
                owed = sum(who == consumer[b"name"] for who in group.pending.values())
                assert consumer[b"pending"] == owed


def _fields(flat: list[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _items(reply: Any) -> list[Any]:
    """The elements of an array, none of a null one."""
    return reply if isinstance(reply, list) else []


def _plain_entry(entry: list[Any]) -> tuple[bytes, Any]:
    raw, fields = entry
    return raw, fields if isinstance(fields, list) else None
