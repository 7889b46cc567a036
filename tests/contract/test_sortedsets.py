"""The commands on sorted sets, on both servers: replies in both protocols, ranges, refusals."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def refused(server: Server, *args: Argument) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def names(reply: list[bytes]) -> str:
    return b" ".join(reply).decode()


def entries(server: Server, key: str) -> str:
    return names(server.execute("ZRANGE", key, 0, -1, "WITHSCORES"))


@pytest.fixture
def letters(server: Server) -> Server:
    """`z` with a to e, scored 1 to 5; `lex` with a to e, all scored 0."""
    server.execute("ZADD", "z", 1, "a", 2, "b", 3, "c", 4, "d", 5, "e")
    server.execute("ZADD", "lex", 0, "a", 0, "b", 0, "c", 0, "d", 0, "e")
    return server


def test_add_and_read(server: Server) -> None:
    assert server.execute("ZADD", "z", 2, "b", 1, "a", "2.5", "b") == 2
    assert server.execute("ZADD", "z", 7, "b") == 0
    assert server.execute("ZCARD", "z") == 2
    assert server.execute("ZSCORE", "z", "b") == b"7"
    assert server.execute("ZSCORE", "z", "x") is None
    assert server.execute("ZMSCORE", "z", "x", "a") == [None, b"1"]
    assert server.execute("ZRANK", "z", "b") == 1
    assert server.execute("ZREVRANK", "z", "b") == 0
    assert server.execute("ZRANK", "z", "x") is None
    assert server.execute("ZREVRANK", "z", "x") is None


def test_shapes_of_resp3(letters: Server) -> None:
    raw = letters.raw(protocol=3)
    pairs = [[b"a", 1.0], [b"b", 2.0]]
    assert raw.execute("ZSCORE", "z", "a") == 1.0
    assert raw.execute("ZMSCORE", "z", "a", "x") == [1.0, None]
    assert raw.execute("ZINCRBY", "z", 0, "a") == 1.0
    assert raw.execute("ZADD", "z", "INCR", 0, "a") == 1.0
    assert raw.execute("ZRANGE", "z", 0, 1, "WITHSCORES") == pairs
    assert raw.execute("ZRANGEBYSCORE", "z", 1, 2, "WITHSCORES") == pairs
    assert raw.execute("ZUNION", 1, "z", "WITHSCORES")[:2] == pairs
    assert sorted(raw.execute("ZRANDMEMBER", "z", 9, "WITHSCORES"))[:2] == pairs
    assert raw.execute("ZSCAN", "z", 0)[1][:2] == [b"a", b"1"]
    assert raw.execute("ZPOPMAX", "z") == [b"e", 5.0]
    assert raw.execute("ZPOPMIN", "z", 2) == pairs
    assert raw.execute("ZMPOP", 1, "z", "MIN", "COUNT", 2) == [b"z", [[b"c", 3.0], [b"d", 4.0]]]
    assert raw.execute("ZMPOP", 1, "z", "MIN") is None


def test_a_missing_sorted_set(server: Server) -> None:
    for name in ("ZPOPMIN", "ZPOPMAX"):
        assert server.execute(name, "z") == []
        assert server.execute(name, "z", 2) == []
    assert server.execute("ZRANGE", "z", 0, -1) == []
    assert server.execute("ZCARD", "z") == 0
    assert server.execute("ZSCORE", "z", "a") is None
    assert server.execute("ZMSCORE", "z", "a", "b") == [None, None]
    assert server.execute("ZCOUNT", "z", 0, 1) == 0
    assert server.execute("ZREM", "z", "a") == 0
    assert server.execute("ZRANDMEMBER", "z") is None
    assert server.execute("ZRANDMEMBER", "z", 2) == []
    assert server.execute("ZSCAN", "z", 4, "NONSENSE") == [b"0", []]
    assert server.execute("ZMPOP", 2, "z", "y", "MIN") is None
    assert server.execute("ZADD", "z", "XX", 1, "a") == 0
    assert server.execute("ZADD", "z", "XX", "INCR", 1, "a") is None
    assert server.execute("EXISTS", "z") == 0


@pytest.mark.parametrize(
    ("options", "reply", "expected"),
    [
        ("", 1, "a 5 b 1 c 7"),
        ("NX", 1, "b 2 a 3 c 7"),
        ("XX", 0, "a 5 b 1"),
        ("CH", 3, "a 5 b 1 c 7"),
        ("GT CH", 2, "b 2 a 5 c 7"),
        ("LT CH", 2, "a 3 b 1 c 7"),
        ("XX GT CH", 1, "b 2 a 5"),
        ("xx ch", 2, "a 5 b 1"),
        ("NX CH", 1, "b 2 a 3 c 7"),
    ],
)
def test_zadd_options(server: Server, options: str, reply: int, expected: str) -> None:
    server.execute("ZADD", "z", 3, "a", 2, "b")
    assert server.execute("ZADD", "z", *options.split(), 5, "a", 1, "b", 7, "c") == reply
    assert set(zip(*[iter(entries(server, "z").split())] * 2, strict=True)) == set(
        zip(*[iter(expected.split())] * 2, strict=True)
    )


def test_increments(server: Server) -> None:
    assert server.execute("ZINCRBY", "z", "1.5", "a") == b"1.5"
    assert server.execute("ZINCRBY", "z", "-3", "a") == b"-1.5"
    assert server.execute("ZADD", "z", "INCR", 2, "a") == b"0.5"
    assert server.execute("ZADD", "z", "INCR", "NX", 2, "a") is None
    assert server.execute("ZADD", "z", "INCR", "GT", -2, "a") is None
    assert server.execute("ZADD", "z", "INCR", "LT", -2, "a") == b"-1.5"
    server.execute("ZADD", "z", "inf", "up")
    nan = "ERR resulting score is not a number (NaN)"
    assert refused(server, "ZINCRBY", "z", "-inf", "up") == nan
    assert refused(server, "ZADD", "z", "INCR", "-inf", "up") == nan


@pytest.mark.parametrize(
    ("score", "shown"),
    [
        ("0.1", "0.10000000000000001"),
        ("1e17", "1e+17"),
        ("123456789012345678", "1.2345678901234568e+17"),
        ("-inf", "-inf"),
        ("+Infinity", "inf"),
        ("0x10", "16"),
        ("-0", "0"),
        ("3.0", "3"),
    ],
)
def test_scores_as_text(server: Server, score: str, shown: str) -> None:
    server.execute("ZADD", "z", score, "m")
    assert server.execute("ZSCORE", "z", "m") == shown.encode()


def test_zscan_shows_what_a_listpack_holds(server: Server) -> None:
    server.execute("ZADD", "z", "1e17", "a", "0.5", "b", "1e19", "c")
    scanned = server.execute("ZSCAN", "z", 0)[1]
    assert names(scanned) == "b 0.5 a 100000000000000000 c 1e+19"
    server.execute("ZADD", "z", 1, "m" * 65)
    shown = server.execute("ZSCAN", "z", 0, "MATCH", "a")[1]
    assert names(shown) == "a 1e+17"


def test_minus_zero_survives_outside_a_listpack(server: Server) -> None:
    server.execute("CONFIG", "SET", "zset-max-listpack-entries", 0)
    server.execute("ZADD", "z", "-0", "m")
    assert server.execute("ZSCORE", "z", "m") == b"-0"
    assert server.execute("ZADD", "z", "CH", 0, "m") == 0


def test_the_last_member_takes_the_key_along(letters: Server) -> None:
    assert letters.execute("ZREM", "z", "a", "x", "a") == 1
    assert letters.execute("ZREMRANGEBYRANK", "z", 0, -1) == 4
    assert letters.execute("EXISTS", "z") == 0
    assert letters.execute("ZPOPMIN", "lex", 10) == [
        part for letter in (b"a", b"b", b"c", b"d", b"e") for part in (letter, b"0")
    ]
    assert letters.execute("EXISTS", "lex") == 0


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ZRANGE z 1 2", "b c"),
        ("ZRANGE z -2 -1", "d e"),
        ("ZRANGE z -99 0", "a"),
        ("ZRANGE z 3 99", "d e"),
        ("ZRANGE z 3 1", ""),
        ("ZRANGE z 5 9", ""),
        ("ZRANGE z 0 1 REV", "e d"),
        ("ZRANGE z 0 0 WITHSCORES REV", "e 5"),
        ("ZRANGE z 1 2 LIMIT 1 -1", "b c"),
        ("ZRANGE z (1 3 BYSCORE", "b c"),
        ("ZRANGE z 4 (2 BYSCORE REV", "d c"),
        ("ZRANGE z -inf +inf BYSCORE LIMIT 1 2", "b c"),
        ("ZRANGE z +inf -inf BYSCORE REV LIMIT 1 2", "d c"),
        ("ZRANGE z -inf +inf BYSCORE LIMIT 1 -1", "b c d e"),
        ("ZRANGE z -inf +inf BYSCORE LIMIT -1 2", ""),
        ("ZRANGE z -inf +inf BYSCORE LIMIT 9 2", ""),
        ("ZRANGE z -inf +inf BYSCORE LIMIT 1 0", ""),
        ("ZRANGE lex [b (d BYLEX", "b c"),
        ("ZRANGE lex + (c BYLEX REV", "e d"),
        ("ZRANGE lex - + BYLEX LIMIT 1 2", "b c"),
        ("ZREVRANGE z 0 1 WITHSCORES", "e 5 d 4"),
        ("ZRANGEBYSCORE z 2 (4 WITHSCORES", "b 2 c 3"),
        ("ZRANGEBYSCORE z 4 2", ""),
        ("ZREVRANGEBYSCORE z 4 2 LIMIT 1 5", "c b"),
        ("ZRANGEBYLEX lex [b [c", "b c"),
        ("ZRANGEBYLEX lex - (c LIMIT 1 1", "b"),
        ("ZRANGEBYLEX lex + -", ""),
        ("ZREVRANGEBYLEX lex (d -", "c b a"),
    ],
)
def test_ranges(letters: Server, command: str, expected: str) -> None:
    assert names(letters.execute(*command.split())) == expected


@pytest.mark.parametrize(
    ("command", "count"),
    [
        ("ZCOUNT z -inf +inf", 5),
        ("ZCOUNT z (1 (5", 3),
        ("ZCOUNT z 4 2", 0),
        ("ZLEXCOUNT lex - +", 5),
        ("ZLEXCOUNT lex (a [c", 2),
        ("ZREMRANGEBYRANK z 1 -2", 3),
        ("ZREMRANGEBYSCORE z 4 +inf", 2),
        ("ZREMRANGEBYLEX lex [b (d", 2),
        ("ZREMRANGEBYRANK z 9 10", 0),
    ],
)
def test_counted_and_removed(letters: Server, command: str, count: int) -> None:
    assert letters.execute(*command.split()) == count
    removed = count if "REM" in command else 0
    assert letters.execute("ZCARD", command.split()[1]) == 5 - removed


def test_zrangestore(letters: Server) -> None:
    letters.execute("SET", "to", "text", "EX", 100)
    assert letters.execute("ZRANGESTORE", "to", "z", "(1", 3, "BYSCORE") == 2
    assert entries(letters, "to") == "b 2 c 3"
    assert letters.execute("TTL", "to") == -1
    assert letters.execute("ZRANGESTORE", "z", "z", 0, 0, "REV") == 1
    assert entries(letters, "z") == "e 5"
    assert letters.execute("ZRANGESTORE", "to", "missing", 0, -1) == 0
    assert letters.execute("EXISTS", "to") == 0


def test_popping(letters: Server) -> None:
    assert letters.execute("ZPOPMIN", "z") == [b"a", b"1"]
    assert letters.execute("ZPOPMAX", "z", 2) == [b"e", b"5", b"d", b"4"]
    assert letters.execute("ZPOPMIN", "z", 0) == []
    assert letters.execute("ZMPOP", 2, "missing", "z", "max", "count", 5) == [
        b"z", [[b"c", b"3"], [b"b", b"2"]],
    ]  # fmt: skip
    assert letters.execute("EXISTS", "z") == 0


def test_zrandmember(letters: Server) -> None:
    assert letters.execute("ZRANDMEMBER", "z") in (b"a", b"b", b"c", b"d", b"e")
    assert len(set(letters.execute("ZRANDMEMBER", "z", 3))) == 3
    assert names(sorted(letters.execute("ZRANDMEMBER", "z", 9))) == "a b c d e"
    flat = letters.execute("ZRANDMEMBER", "z", -9, "WITHSCORES")
    assert len(flat) == 18
    assert all(score == b"%d" % (member[0] - 96)
               for member, score in zip(flat[::2], flat[1::2], strict=True))  # fmt: skip


# Combining


@pytest.fixture
def pair(server: Server) -> Server:
    server.execute("ZADD", "one", 1, "a", 2, "b", 3, "c")
    server.execute("ZADD", "two", 10, "b", 1, "c", 5, "d")
    server.execute("SADD", "set", "c", "d")
    return server


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ZUNION 2 one two", "a c d b"),
        ("ZUNION 2 one two WITHSCORES", "a 1 c 4 d 5 b 12"),
        ("ZUNION 2 one two WEIGHTS 2 -1 WITHSCORES", "b -6 d -5 a 2 c 5"),
        ("ZUNION 2 one two AGGREGATE MIN WITHSCORES", "a 1 c 1 b 2 d 5"),
        ("ZUNION 2 one two WITHSCORES aggregate max", "a 1 c 3 d 5 b 10"),
        ("ZUNION 2 one set WITHSCORES", "a 1 d 1 b 2 c 4"),
        ("ZUNION 2 missing one WITHSCORES", "a 1 b 2 c 3"),
        ("ZINTER 2 one two WITHSCORES", "c 4 b 12"),
        ("ZINTER 2 one two WEIGHTS 1 10 AGGREGATE MAX WITHSCORES", "c 10 b 100"),
        ("ZINTER 3 one two set WITHSCORES", "c 5"),
        ("ZINTER 2 one one WITHSCORES", "a 2 b 4 c 6"),
        ("ZINTER 2 one missing", ""),
        ("ZDIFF 2 one two WITHSCORES", "a 1"),
        ("ZDIFF 2 one set WITHSCORES", "a 1 b 2"),
        ("ZDIFF 1 set WITHSCORES", "c 1 d 1"),
        ("ZDIFF 2 one one", ""),
        ("ZDIFF 2 missing one", ""),
    ],
)
def test_combining(pair: Server, command: str, expected: str) -> None:
    assert names(pair.execute(*command.split())) == expected
    if "WITHSCORES" in command:
        words = [word for word in command.split() if word != "WITHSCORES"]
        assert pair.execute(f"{words[0]}STORE", "to", *words[1:]) == len(expected.split()) // 2
        assert entries(pair, "to") == expected


def test_opposite_infinities_are_zero(server: Server) -> None:
    server.execute("ZADD", "one", "inf", "a", 0, "b")
    server.execute("ZADD", "two", "-inf", "a", 1, "b")
    assert names(server.execute("ZUNION", 2, "one", "two", "WITHSCORES")) == "a 0 b 1"
    assert server.execute("ZUNION", 1, "one", "WEIGHTS", "inf", "WITHSCORES") == [
        b"b", b"0", b"a", b"inf",
    ]  # fmt: skip


def test_zintercard(pair: Server) -> None:
    assert pair.execute("ZINTERCARD", 2, "one", "two") == 2
    assert pair.execute("ZINTERCARD", 2, "one", "two", "LIMIT", 1) == 1
    assert pair.execute("ZINTERCARD", 2, "one", "missing") == 0


def test_an_empty_result_deletes_the_destination(pair: Server) -> None:
    pair.execute("SET", "to", "text")
    assert pair.execute("ZINTERSTORE", "to", 2, "one", "missing") == 0
    assert pair.execute("EXISTS", "to") == 0
    assert pair.execute("ZDIFFSTORE", "one", 1, "missing") == 0
    assert pair.execute("EXISTS", "one") == 0


def test_encodings(server: Server) -> None:
    server.execute("ZADD", "z", 1, "a", 2, "b")
    assert server.execute("OBJECT", "ENCODING", "z") == b"listpack"
    server.execute("CONFIG", "SET", "zset-max-listpack-entries", 2)
    server.execute("ZADD", "z", 3, "a")
    assert server.execute("OBJECT", "ENCODING", "z") == b"listpack"
    server.execute("ZADD", "z", 3, "c")
    assert server.execute("OBJECT", "ENCODING", "z") == b"skiplist"
    server.execute("ZREM", "z", "c")
    assert server.execute("OBJECT", "ENCODING", "z") == b"skiplist"
    server.execute("ZUNIONSTORE", "to", 1, "z")
    assert server.execute("OBJECT", "ENCODING", "to") == b"listpack"
    server.execute("CONFIG", "SET", "zset-max-listpack-value", 3)
    server.execute("ZADD", "long", 1, "abcd")
    assert server.execute("OBJECT", "ENCODING", "long") == b"skiplist"


def test_a_large_one_is_scanned_in_pages(server: Server) -> None:
    expected = {b"m%d" % number: b"%d" % number for number in range(1000)}
    server.execute("ZADD", "z", *(part for member, score in expected.items()
                                  for part in (score, member)))  # fmt: skip
    found: dict[bytes, bytes] = {}
    cursor, pages = b"0", 0
    while not pages or cursor != b"0":
        cursor, page = server.execute("ZSCAN", "z", cursor, "COUNT", 50)
        found.update(zip(page[::2], page[1::2], strict=True))
        pages += 1
    assert pages > 5
    assert found == expected


def test_ranks_and_ranges_of_a_large_one(server: Server) -> None:
    server.execute("ZADD", "z", *(part for number in range(1500)
                                  for part in (number // 3, f"m{number:04}")))  # fmt: skip
    assert server.execute("ZRANK", "z", "m1234") == 1234
    assert server.execute("ZREVRANK", "z", "m1234") == 265
    assert names(server.execute("ZRANGE", "z", 1000, 1001)) == "m1000 m1001"
    assert server.execute("ZCOUNT", "z", "(100", 200) == 300
    assert server.execute("ZREMRANGEBYRANK", "z", 10, 1489) == 1480
    assert names(server.execute("ZRANGE", "z", 9, 10)) == "m0009 m1490"


FLOAT = "ERR value is not a valid float"
INTEGER = "ERR value is not an integer or out of range"
SYNTAX = "ERR syntax error"


REFUSALS = [
    ("ZADD text x m", FLOAT),
    ("ZADD text 1 m nan n", FLOAT),
    ("ZADD text 1e400 m", FLOAT),
    ("ZADD text 1 m 2", SYNTAX),
    ("ZADD text NX XX", SYNTAX),
    ("ZADD text NX XX 1 m", "ERR XX and NX options at the same time are not compatible"),
    (
        "ZADD text NX GT 1 m",
        "ERR GT, LT, and/or NX options at the same time are not compatible",
    ),
    (
        "ZADD text GT LT 1 m",
        "ERR GT, LT, and/or NX options at the same time are not compatible",
    ),
    ("ZADD text INCR 1 m 2 n", "ERR INCR option supports a single increment-element pair"),
    ("ZINCRBY text x m", FLOAT),
    ("ZRANGE text x 1", INTEGER),
    ("ZRANGE text 0 1 NONSENSE", SYNTAX),
    ("ZRANGE text 0 1 REV REV", SYNTAX),
    ("ZRANGE text 0 1 BYLEX BYSCORE", SYNTAX),
    ("ZRANGE text 0 1 LIMIT 1", SYNTAX),
    ("ZRANGE text 0 1 LIMIT x 1", INTEGER),
    (
        "ZRANGE text 0 1 LIMIT 0 1",
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
    ),
    (
        "ZRANGE text - + BYLEX WITHSCORES",
        "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
    ),
    ("ZRANGESTORE to text 0 1 WITHSCORES", SYNTAX),
    ("ZRANGEBYSCORE text x 1", "ERR min or max is not a float"),
    ("ZRANGEBYSCORE text 1 nan", "ERR min or max is not a float"),
    ("ZRANGEBYSCORE text 0 1 REV", SYNTAX),
    ("ZCOUNT text ((1 2", "ERR min or max is not a float"),
    ("ZRANGEBYLEX text a [b", "ERR min or max not valid string range item"),
    ("ZLEXCOUNT text [a b", "ERR min or max not valid string range item"),
    ("ZREMRANGEBYRANK text x 1", INTEGER),
    ("ZREMRANGEBYLEX text x [y", "ERR min or max not valid string range item"),
    ("ZPOPMIN text -1", "ERR value is out of range, must be positive"),
    ("ZPOPMAX text x", "ERR value is out of range, must be positive"),
    ("ZPOPMIN text 1 2", SYNTAX),
    ("ZMPOP 0 text MIN", "ERR numkeys should be greater than 0"),
    ("ZMPOP 1 text WHICH", SYNTAX),
    ("ZMPOP 3 text MIN", SYNTAX),
    ("ZMPOP 1 text MIN COUNT 0", "ERR count should be greater than 0"),
    ("ZMPOP 1 text MIN COUNT 1 COUNT 1", SYNTAX),
    ("ZRANDMEMBER text x", INTEGER),
    ("ZRANDMEMBER text 1 WITHVALUES", SYNTAX),
    ("ZRANDMEMBER text 4611686018427387904 WITHSCORES", "ERR value is out of range"),
    ("ZUNION 0 z", "ERR at least 1 input key is needed for 'zunion' command"),
    ("ZINTERSTORE to -1 z", "ERR at least 1 input key is needed for 'zinterstore' command"),
    ("ZDIFF x z", INTEGER),
    ("ZUNION 2 text", SYNTAX),
    ("ZUNION 1 text NONSENSE", WRONG_TYPE),
    ("ZUNION 1 z WEIGHTS", SYNTAX),
    ("ZUNION 1 z WEIGHTS x", "ERR weight value is not a float"),
    ("ZUNION 1 z AGGREGATE AVG", SYNTAX),
    ("ZUNION 1 z LIMIT 1", SYNTAX),
    ("ZUNIONSTORE to 1 z WITHSCORES", SYNTAX),
    ("ZDIFF 1 z WEIGHTS 1", SYNTAX),
    ("ZINTERCARD 1 z LIMIT -1", "ERR LIMIT can't be negative"),
    ("ZINTERCARD 1 z WITHSCORES", SYNTAX),
    ("ZSCAN text x", "ERR invalid cursor"),
    ("ZSCAN z 0 COUNT 0", SYNTAX),
]


@pytest.mark.parametrize(("command", "message"), REFUSALS)
def test_refused(server: Server, command: str, message: str) -> None:
    server.execute("SET", "text", "x")
    server.execute("ZADD", "z", 1, "m")
    assert refused(server, *command.split()) == message


@pytest.mark.parametrize(
    "command",
    [
        "ZADD text 1 m", "ZINCRBY text 1 m", "ZREM text m", "ZCARD text", "ZSCORE text m",
        "ZMSCORE text m", "ZRANK text m", "ZREVRANK text m", "ZRANGE text 0 1",
        "ZREVRANGE text 0 1", "ZRANGEBYSCORE text 0 1", "ZREVRANGEBYSCORE text 1 0",
        "ZRANGEBYLEX text - +", "ZREVRANGEBYLEX text + -", "ZRANGESTORE to text 0 1",
        "ZCOUNT text 0 1", "ZLEXCOUNT text - +", "ZREMRANGEBYRANK text 0 1",
        "ZREMRANGEBYSCORE text 0 1", "ZREMRANGEBYLEX text - +", "ZPOPMIN text", "ZPOPMAX text 1",
        "ZMPOP 2 missing text MIN", "ZRANDMEMBER text", "ZRANDMEMBER text 1", "ZSCAN text 0",
        "ZUNION 2 missing text", "ZINTER 2 missing text", "ZDIFF 2 missing text",
        "ZUNIONSTORE to 1 text", "ZINTERSTORE to 1 text", "ZDIFFSTORE to 1 text",
        "ZINTERCARD 1 text",
    ],
)  # fmt: skip
def test_another_type(server: Server, command: str) -> None:
    server.execute("SET", "text", "x")
    assert refused(server, *command.split()) == WRONG_TYPE
