"""The words that grammars are made of: fragments are strategies of tuples of arguments.

A pool of a few keys, two of each type at the start, and small alphabets of members, so that
commands meet what others left. Most arguments are valid; about one in ten is an edge or nonsense,
and `Group` now and then drops or adds an argument of any command.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.differential.harness import Sequence, Step

Words = tuple[bytes, ...]
Fragment = SearchStrategy[Words]
Part = str | Fragment

MAX_STEPS = 40
# Since Redis 7.2 these have an option, so that an argument too many is an error of another kind.
_TAKE_MORE = (b"ZRANK", b"ZREVRANK")


def word(*choices: str | bytes) -> Fragment:
    """One argument out of `choices`."""
    return st.sampled_from([(_bytes(choice),) for choice in choices])


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def seq(*parts: Part) -> Fragment:
    """The parts one after the other; a str is split into its words."""
    fragments = [
        st.just(tuple(part.encode().split())) if isinstance(part, str) else part for part in parts
    ]
    if len(fragments) == 1:
        return fragments[0]
    return st.tuples(*fragments).map(_join)


def _join(pieces: Iterable[Words]) -> Words:
    return tuple(argument for piece in pieces for argument in piece)


def choice(*parts: Part) -> Fragment:
    """One of the parts."""
    return st.one_of([seq(part) for part in parts])


def maybe(*parts: Part) -> Fragment:
    """The parts, or nothing."""
    return st.one_of(st.just(()), seq(*parts))


def many(*parts: Part, low: int = 1, high: int = 4) -> Fragment:
    """The parts again and again, `low` to `high` times."""
    return st.lists(seq(*parts), min_size=low, max_size=high).map(_join)


def options(*parts: Part, high: int = 3) -> Fragment:
    """Any of the parts in any order, repetitions included."""
    return many(choice(*parts), low=0, high=high)


_POOLS = {
    "string": ["s0", "s1", "s2"],
    "list": ["l0", "l1", "l2"],
    "hash": ["h0", "h1", "h2"],
    "set": ["t0", "t1", "t2"],
    "zset": ["z0", "z1", "z2"],
    "stream": ["x0", "x1", "x2"],
}


def key_of(kind: str) -> Fragment:
    """A key which mostly holds a `kind`, sometimes another type, sometimes nothing."""
    others = [pool[0] for name, pool in _POOLS.items() if name != kind]
    return word(*(_POOLS[kind] * 5), *others[:3], "none")


ANY_KEY = word(*(key for pool in _POOLS.values() for key in pool), "none")

SMALL = word("0", "1", "2", "3", "4", "5", "-1", "-2", "-3", "-5")
INTEGER = word(
    *["0", "1", "2", "3", "5", "7", "10", "100", "-1", "-2", "-7", "-100"] * 2,
    "9223372036854775807", "-9223372036854775808", "9223372036854775806", "2147483648",
    "-9223372036854775807",
    "9223372036854775808", "01", "+1", "-0", " 1", "1.0", "abc", "",
)  # fmt: skip
INDEX = word(
    *["0", "1", "2", "3", "4", "-1", "-2", "-3"] * 5,
    "10", "-10", "100", "-100", "9223372036854775807", "-9223372036854775808", "x", "",
)  # fmt: skip
COUNT = word(*["0", "1", "2", "3", "5", "10"] * 3, "-1", "-3", "x", "9223372036854775807", "1.5")
# Of a random pick: a large negative one is an answer without end.
PICKS = word(*["0", "1", "2", "3", "5", "-1", "-2", "-5"] * 3, "x", "", "1.5", "100",
             "9223372036854775807", "-9223372036854775808", "9223372036854775808")  # fmt: skip
FLOAT = word(
    *["0", "1", "-1", "0.1", "0.5", "-2.5", "3", "1e2", "10", "5e-1", "1.5e3"] * 2,
    "inf", "-inf", "+inf", "nan", "1e308", "-1e308", "1e400", "1e-400", "0x10", "abc", "",
    " 1", "1 ", "1e", ".5", "5.", "-0", "0.1234567890123456789", "99999999999999999999",
    "3.0e0", "Infinity", "1.7976931348623157e308", "4.9e-324",
)  # fmt: skip
TEXT = st.one_of(
    word("", "a", "b", "c", "abc", "abd", "hello", "1", "10", "-5", "3.5", "0"),
    word("x" * 9, "y" * 44, "z" * 45, "w" * 65, "9223372036854775807", "12345678901234567890"),
    st.binary(max_size=6).map(lambda raw: (raw,)),
)
MEMBER = word(*["a", "b", "c", "d", "e", "f"] * 3, "1", "2", "3", "-7", "10", "long-member", "")
PATTERN = word("*", "a*", "?", "[a-c]*", "*0", "[^s]*", "s?", "none", "\\*", "[", "h[0-1", "**", "")

SECONDS = word(*["100", "1000", "5000"] * 3, "0", "-1", "x", "9223372036854775807", "")
MILLISECONDS = word(
    *["100000", "1000000"] * 4, "0", "-1", "9223372036854775807", "9223370000000000000", "x"
)
# 2100, and moments long gone.
UNIX_SECONDS = word(*["4102444800"] * 4, "4102444801", "1", "1000", "0", "-1", "x")
UNIX_MILLISECONDS = word(*["4102444800123"] * 4, "4102444800999", "1", "1000", "0", "-1", "x")


def numbered(item: Fragment, high: int = 3) -> Fragment:
    """A count and then that many items; sometimes the count is wrong."""
    right = st.lists(item, min_size=1, max_size=high).map(
        lambda items: (b"%d" % len(items), *_join(items))
    )
    wrong = seq(word("0", "1", "2", "5", "-1", "x", ""), many(item, high=high))
    return st.one_of(right, right, right, wrong)


@dataclass(frozen=True)
class Group:
    """A grammar: the commands of a group, and how a sequence of them is run.

    `extra` are commands of other groups, for variety and for state. With `connections`, each step
    draws the one that it is sent on. `pushes`: what other connections receive is compared too.
    """

    name: str
    commands: list[Fragment]
    extra: tuple[Fragment, ...] = ()
    connections: int = 1
    pushes: bool = False
    mutate: bool = True

    @cached_property
    def step(self) -> SearchStrategy[Step]:
        """One command."""
        usual = st.one_of(self.commands)
        words = st.one_of(*[usual] * 9, st.one_of(self.extra)) if self.extra else usual
        connection = st.integers(0, self.connections - 1)
        fate = st.integers(0, 40 if self.mutate else 0)
        return st.builds(_step, words, connection, fate)

    @cached_property
    def sequences(self) -> SearchStrategy[Sequence]:
        """Sequences of this group."""
        return st.builds(
            Sequence,
            steps=st.lists(self.step, min_size=1, max_size=MAX_STEPS),
            protocol=st.sampled_from([2, 3]),
            small_limits=st.booleans(),
            events=st.just(False) if self.pushes else st.booleans(),
        )


def _step(words: Words, connection: int, fate: int) -> Step:
    """The step; two fates in forty lose the last argument or gain one."""
    if fate == 1 and len(words) > 1:
        words = words[:-1]
    elif fate == 2 and words[0] not in _TAKE_MORE:
        words = (*words, b"extra")
    return Step(words, connection)
