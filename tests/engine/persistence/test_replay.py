"""Files of changes: where they may end, what is damage, and that nothing is due while they load."""

from __future__ import annotations

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.persistence import replay
from cacheapp.engine.persistence.encoding import CorruptPayload
from tests.engine.conftest import Run

FIRST = replay.packed([b"SET", b"k", b"v"])
SECOND = replay.packed([b"SET", b"k", b"x" * 100])
FILE = replay.sealed(FIRST) + replay.sealed(SECOND)


def test_a_file_comes_back() -> None:
    commands, end = replay.parsed(FILE + b"#TS:1700000000\r\n" + FIRST)
    assert [args[2] for args in commands] == [b"v", b"x" * 100, b"v"]
    assert end == len(FILE) + 16 + len(FIRST)
    assert replay.parsed(b"") == ([], 0)


def test_every_end_is_a_prefix() -> None:
    for size in range(len(FILE)):
        commands, end = replay.parsed(FILE[:size])
        assert len(commands) == (size >= len(FIRST)) + (
            size >= len(replay.sealed(FIRST)) + len(SECOND)
        )
        assert end <= size
        again, _ = replay.parsed(FILE[:end])
        assert again == commands


@pytest.mark.parametrize("zeros", [1, 3, 50, 4096])
def test_an_end_of_nuls_is_an_end(zeros: int) -> None:
    for size in range(len(FILE)):
        commands, end = replay.parsed(FILE[:size] + bytes(zeros))
        assert (commands, end) == replay.parsed(FILE[:end])


def test_every_bit_counts() -> None:
    good = replay.parsed(FILE)[0]
    for place in range(len(FILE)):
        for bit in range(8):
            data = bytearray(FILE)
            data[place] ^= 1 << bit
            try:
                commands, _ = replay.parsed(bytes(data))
            except CorruptPayload:
                continue
            # A line of verification may be hurt, or the end be missing; data are never wrong.
            assert commands == good[: len(commands)]


def test_transactions_are_done_as_a_whole() -> None:
    multi, execute = replay.packed([b"MULTI"]), replay.packed([b"EXEC"])
    assert replay.parsed(multi + FIRST + SECOND) == ([], 0)
    assert replay.parsed(FIRST + multi + SECOND)[1] == len(FIRST)
    whole = multi + FIRST + SECOND + execute
    commands, end = replay.parsed(whole)
    assert (len(commands), end) == (2, len(whole))


@pytest.mark.parametrize(
    "data", [b"*0\r\n", b"SET k v\r\n", b"*1\r\n+a\r\n", b"*x\r\n", b"*1\r\n$1\r\nab\r\n"]
)
def test_what_is_no_command(data: bytes) -> None:
    with pytest.raises(CorruptPayload, match="is no command"):
        replay.parsed(data + FIRST)


@pytest.mark.usefixtures("engine")
def test_commands_that_nobody_has() -> None:
    with pytest.raises(CorruptPayload, match="unknown command"):
        replay.check([[b"NOSUCH"]])
    with pytest.raises(CorruptPayload, match="wrong number of arguments"):
        replay.check([[b"GET"]])


def test_trimming_is_exact_and_has_its_limit_all_the_same(run: Run, engine: Engine) -> None:
    add = [[b"XADD", b"x", b"%d-1" % n, b"f", b"v"] for n in range(1, 9)]
    trim = [b"XADD", b"x", b"NOMKSTREAM", b"MAXLEN", b"=", b"5", b"LIMIT", b"3", b"9-1", b"f", b"v"]
    replay.perform(engine, [*add, trim])
    assert run("XLEN", "x") == 5
    replay.perform(engine, [[b"XTRIM", b"x", b"MINID", b"=", b"8", b"LIMIT", b"3"]])
    assert run("XLEN", "x") == 2
    replay.perform(engine, [[b"XADD", b"x", b"10-1", b"=", b"LIMIT", b"a", b"b"]])
    assert run("XRANGE", "x", "10-1", "+") == [[b"10-1", [b"=", b"LIMIT", b"a", b"b"]]]


def test_nothing_is_due_meanwhile(run: Run, engine: Engine, clock: ManualClock) -> None:
    past = b"%d" % (clock.time() * 1000 - 5000)
    replay.perform(
        engine,
        [
            [b"HSET", b"h", b"f", b"v"],
            [b"PEXPIREAT", b"h", past],
            [b"HSET", b"h", b"g", b"w"],
            [b"SET", b"s", b"v"],
            [b"INCR", b"s"],
            [b"XADD", b"x", b"1-1", b"f", b"v"],
            [b"XGROUP", b"CREATE", b"x", b"g", b"0"],
            [b"XGROUP", b"CREATECONSUMER", b"x", b"g", b"c"],
        ],
    )
    assert run("EXISTS", "h") == 0
    assert run("OBJECT", "IDLETIME", "s") == 0
    assert run("GET", "s") == b"v"
    assert run("XINFO", "CONSUMERS", "x", "g")[0][b"idle"] == 0


@pytest.mark.parametrize("count", [1, 2, 16, 17, 40])
def test_a_command_of_any_length_is_packed_as_clients_send_it(count: int) -> None:
    args = [b"%d" % number * number for number in range(1, count + 1)]
    wanted = b"*%d\r\n" % count + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)
    assert replay.packed(args) == wanted
