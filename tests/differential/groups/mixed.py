"""Everything together: commands of all groups, plain, queued by MULTI, called by a script.

Three connections draw from every grammar, so that a hash meets a sorted set's STORE, a transaction
holds commands that wait (which do not wait there), and scripts call whatever there is. Inside
EXEC and scripts an answer is compared to the letter, so what is compared more loosely elsewhere
(random picks, moments, the order of hash tables) is left out there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.differential.grammar import ANY_KEY, Fragment, Group, Words, choice, many, seq, word
from tests.differential.groups import (
    bitmaps,
    geo,
    hashes,
    hyperloglogs,
    keys,
    lists,
    scripting,
    sets,
    sortedsets,
    streams,
    strings,
)
from tests.differential.harness import SCANS, Sequence, Step
from tests.differential.replies import is_compared_loosely

DATA = (bitmaps, geo, hashes, hyperloglogs, keys, lists, sets, sortedsets, streams, strings)
ANYTHING = st.one_of([seq(command) for module in DATA for command in module.GROUP.commands])
END, SIDE = word("LEFT", "RIGHT"), word("MIN", "MAX")
SOME = many(ANY_KEY, high=3)

# Each would wait outside of a transaction.
WAITING = choice(
    seq(word("BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX"), SOME, "0"),
    seq("BLMOVE", ANY_KEY, ANY_KEY, END, END, "0"),
    seq("BRPOPLPUSH", ANY_KEY, ANY_KEY, "0"),
    seq("BLMPOP 0 2", ANY_KEY, ANY_KEY, END, "COUNT 2"),
    seq("BZMPOP 0 2", ANY_KEY, ANY_KEY, SIDE, "COUNT 2"),
    seq("XREAD BLOCK 0 STREAMS", ANY_KEY, "$"),
    seq("XREADGROUP GROUP g c BLOCK 0 STREAMS", ANY_KEY, ">"),
    seq("WAIT 0 0"),
)
WAITS = {
    b"BLPOP", b"BRPOP", b"BZPOPMIN", b"BZPOPMAX", b"BLMOVE", b"BRPOPLPUSH", b"BLMPOP", b"BZMPOP",
    b"WAIT",
}  # fmt: skip
CALLS = (
    b"return redis.call(unpack(ARGV))",
    b"return redis.pcall(unpack(ARGV))",
    b"redis.setresp(3) return redis.call(unpack(ARGV))",
    b"return {pcall(redis.call, unpack(ARGV))}",
    b"redis.call('SET', 's0', #ARGV) return redis.call(unpack(ARGV))",
    b"local r = redis.call(unpack(ARGV)) redis.call('LPUSH', 'l0', 'called') return r",
)


def is_exact(words: Words) -> bool:
    """Whether an answer to `words` has to be the same to the letter."""
    name = words[0].upper()
    return not is_compared_loosely(words) and name != b"SPOP" and name not in SCANS


def _called(inner: Words, script: bytes) -> Words:
    return b"EVAL", script, b"0", *inner


CALLED: Fragment = st.builds(_called, ANYTHING.filter(is_exact), st.sampled_from(CALLS))
FRAME = choice("MULTI", "MULTI", "EXEC", "EXEC", "DISCARD", seq("WATCH", SOME), "UNWATCH")


def may_wait(words: Words) -> bool:
    """Whether `words` is a command that waits when it is not in a transaction."""
    name = words[0].upper()
    return name in WAITS or (name in (b"XREAD", b"XREADGROUP") and b"BLOCK" in words)


def fitting(sequence: Sequence) -> Sequence:
    """The sequence without what would wait outside of MULTI or be compared too strictly inside."""
    queueing: set[int] = set()
    steps: list[Step] = []
    for step in sequence.steps:
        name = step.args[0].upper()
        inside = step.connection in queueing
        if (not inside and may_wait(step.args)) or (inside and not is_exact(step.args)):
            continue
        if name == b"MULTI":
            queueing.add(step.connection)
        elif name in (b"EXEC", b"DISCARD"):
            queueing.discard(step.connection)
        steps.append(step)
    return replace(sequence, steps=steps or [Step((b"PING",))])


class Mixed(Group):
    """A group whose sequences are made to fit."""

    @cached_property
    def sequences(self) -> SearchStrategy[Sequence]:
        """Sequences of all groups."""
        return super().sequences.map(fitting)


GROUP = Mixed(
    "mixed",
    [ANYTHING, ANYTHING, ANYTHING, CALLED, FRAME, FRAME, WAITING, *scripting.COMMANDS[2:4]],
    connections=3,
    mutate=False,
)
