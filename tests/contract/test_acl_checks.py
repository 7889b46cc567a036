"""What a user may do: commands, keys with their access, channels, in MULTI, scripts and SORT."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.contract.waiting import until_blocked
from tests.raw import NothingCame, Raw, ReplyError

KEYS = "NOPERM this user has no permissions to access one of the keys used as arguments"
CHANNELS = "NOPERM this user has no permissions to access one of the channels used as arguments"
EXEC = (
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
    "call. This command is no longer allowed for the following reason: "
)
SCRIPT = "The user executing the script can't "


def command(name: str) -> str:
    return f"NOPERM this user has no permissions to run the '{name}' command"


def refused(raw: Raw, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


def login(server: Server, *rules: str, name: str = "bob", protocol: int = 2) -> Raw:
    """A connection of a user with these rules; `+auth` is free."""
    server.execute("ACL", "SETUSER", name, "on", "nopass", *rules)
    raw = server.raw(protocol)
    assert raw.execute("AUTH", name, "any") == b"OK"
    return raw


def test_commands(server: Server) -> None:
    raw = login(server, "~*", "+get", "+client|id", "+select|0", "+acl|whoami")
    assert raw.execute("ACL", "WHOAMI") == b"bob"
    assert raw.execute("GET", "k") is None
    assert raw.execute("CLIENT", "ID") > 0
    assert raw.execute("SELECT", 0) == b"OK"
    assert refused(raw, "SELECT", 1) == command("select")
    assert refused(raw, "SET", "k", 1) == command("set")
    assert refused(raw, "CLIENT", "LIST") == command("client|list")
    # What does not exist, or is called with too little, is said first.
    assert refused(raw, "NOPE").startswith("ERR unknown command")
    assert refused(raw, "SET", "k") == "ERR wrong number of arguments for 'set' command"
    # These need no permission.
    assert raw.execute("HELLO", 2)[1] == b"redis"
    assert raw.execute("RESET") == b"RESET"


def test_a_change_of_rules_counts_at_once(server: Server) -> None:
    raw = login(server, "~*", "+get")
    server.execute("ACL", "SETUSER", "bob", "-get", "+set")
    assert refused(raw, "GET", "k") == command("get")
    assert raw.execute("SET", "k", 1) == b"OK"
    # Off is for new logins.
    server.execute("ACL", "SETUSER", "bob", "off")
    assert raw.execute("SET", "k", 1) == b"OK"
    with pytest.raises(ReplyError, match="WRONGPASS"):
        server.raw().execute("AUTH", "bob", "any")


def test_keys(server: Server) -> None:
    raw = login(server, "+@all", "~mine:*", "%R~read:*", "%W~write:*")
    assert raw.execute("SET", "mine:1", 1) == b"OK"
    assert raw.execute("MGET", "mine:1", "read:1") == [b"1", None]
    assert refused(raw, "MGET", "mine:1", "other") == KEYS
    assert refused(raw, "SET", "read:1", 1) == KEYS
    assert refused(raw, "GET", "write:1") == KEYS
    assert raw.execute("LPUSH", "write:1", 1) == 1
    assert raw.execute("PING") == b"PONG"
    assert refused(raw, "GET", "Mine:1") == KEYS
    assert refused(raw, "EXISTS", "other") == KEYS
    assert raw.execute("EXISTS", "write:1", "read:1", "mine:1") == 2


USES: list[tuple[str, str, str]] = [
    # A command with R, W, RW keys; with one that has to be read there; with one to be written.
    ("COPY R W", "COPY W W", "COPY R R"),
    ("RENAME RW W", "RENAME W W", "RENAME R W"),
    ("RENAMENX RW W", "RENAMENX W W", "RENAMENX RW R"),
    ("MOVE RW 1", "MOVE W 1", "MOVE R 1"),
    ("LMOVE RW W LEFT LEFT", "LMOVE W W LEFT LEFT", "LMOVE RW R LEFT LEFT"),
    ("BLMOVE RW W LEFT LEFT 0", "BLMOVE W W LEFT LEFT 0", "BLMOVE RW R LEFT LEFT 0"),
    ("RPOPLPUSH RW W", "RPOPLPUSH W W", "RPOPLPUSH RW R"),
    ("SMOVE RW W m", "SMOVE W W m", "SMOVE RW R m"),
    ("SINTERSTORE W R R", "SINTERSTORE W R W", "SINTERSTORE R R R"),
    ("SUNIONSTORE W R R", "SUNIONSTORE W R W", "SUNIONSTORE R R R"),
    ("SDIFFSTORE W R", "SDIFFSTORE W W", "SDIFFSTORE R R"),
    ("ZUNIONSTORE W 2 R R", "ZUNIONSTORE W 2 R W", "ZUNIONSTORE R 2 R R"),
    ("ZINTERSTORE W 1 R", "ZINTERSTORE W 1 W", "ZINTERSTORE R 1 R"),
    ("ZDIFFSTORE W 1 R", "ZDIFFSTORE W 1 W", "ZDIFFSTORE R 1 R"),
    ("ZRANGESTORE W R 0 -1", "ZRANGESTORE W W 0 -1", "ZRANGESTORE R R 0 -1"),
    ("BITOP AND W R R", "BITOP AND W R W", "BITOP AND R R R"),
    ("PFMERGE RW R", "PFMERGE W R", "PFMERGE R R"),
    ("PFCOUNT R R", "PFCOUNT R W", "PFCOUNT X"),
    ("SORT R STORE W", "SORT W STORE W", "SORT R STORE R"),
    ("SORT_RO R", "SORT_RO W", "SORT_RO X"),
    ("GEORADIUS R 1 1 1 m STORE W", "GEORADIUS W 1 1 1 m STORE W", "GEORADIUS R 1 1 1 m STORE R"),
    (
        "GEORADIUSBYMEMBER R x 1 m STOREDIST W",
        "GEORADIUSBYMEMBER W x 1 m",
        "GEORADIUSBYMEMBER R x 1 m STOREDIST R",
    ),
    (
        "GEOSEARCHSTORE W R FROMMEMBER m BYRADIUS 1 m",
        "GEOSEARCHSTORE W W FROMMEMBER m BYRADIUS 1 m",
        "GEOSEARCHSTORE R R FROMMEMBER m BYRADIUS 1 m",
    ),
    ("SET W v", "SET W v GET", "SET R v"),
    ("SET W get", "SET W v EX GET", "SET R get"),
    ("SET RW v GET", "SET W v get NX", "SET R v GET"),
    ("BITFIELD R GET u4 0", "BITFIELD W GET u4 0", "BITFIELD R SET u4 0 1"),
    ("BITFIELD R OVERFLOW SAT GET u4 0", "BITFIELD W SET u4 0 1", "BITFIELD R GET u4 0 nonsense"),
    ("BITFIELD R", "BITFIELD W", "BITFIELD X"),
    ("GETDEL RW", "GETDEL W", "GETDEL R"),
    ("GETEX RW", "GETEX W", "GETEX R"),
    ("APPEND W v", "GETRANGE W 0 1", "APPEND R v"),
    ("INCR RW", "INCR W", "INCR R"),
    ("MSET W v W v", "MGET W", "MSET W v R v"),
    ("EVAL s 1 RW", "EVAL s 1 W", "EVAL s 1 R"),
    ("EVAL s 0 X", "EVAL_RO s 1 W", "EVAL s 2 RW R"),
    ("FCALL f 1 RW", "FCALL_RO f 1 W", "FCALL f 1 R"),
    ("EVAL_RO s 1 R", "EVALSHA_RO s 1 W", "EVALSHA s 1 R"),
    ("XREAD STREAMS R R 0 0", "XREAD STREAMS R W 0 0", "XREAD STREAMS X 0"),
    ("XREADGROUP GROUP g c STREAMS R >", "XREADGROUP GROUP g c STREAMS W >", "XADD R * f v"),
    ("LMPOP 2 RW RW LEFT", "LMPOP 2 RW W LEFT", "LMPOP 2 RW R LEFT"),
    ("HEXISTS W f", "HGET W f", "HSET R f v"),
    ("STRLEN R", "STRLEN X", "STRLEN X"),
    ("TYPE W", "TYPE X", "DEL R"),
    ("SISMEMBER W m", "SMISMEMBER W m", "SADD R m"),
    ("SINTERCARD 2 R R", "SINTERCARD 2 R W", "SINTERCARD 1 X"),
    ("OBJECT ENCODING W", "OBJECT ENCODING X", "MEMORY USAGE X"),
    ("TOUCH R W", "TOUCH X", "EXPIRE R 1"),
]  # fmt: skip


@pytest.mark.parametrize(("allowed", "unread", "unwritten"), USES, ids=[use[0] for use in USES])
def test_what_commands_do_with_their_keys(
    server: Server, allowed: str, unread: str, unwritten: str
) -> None:
    server.execute("ACL", "SETUSER", "bob", "+@all", "%R~R", "%W~W", "~RW")

    def answer(line: str) -> bytes:
        reply: bytes = server.execute("ACL", "DRYRUN", "bob", *line.split())
        return reply

    assert answer(allowed) == b"OK"
    for line in (unread, unwritten):
        found = answer(line)
        assert found.startswith(b"This user has no permissions to access the '"), line
        assert found.endswith(b"' key"), line


@pytest.mark.parametrize(
    "line",
    [
        "EVAL s -1 X", "EVAL s 3 X X", "EVAL s x X", "ZUNION 5 X", "LMPOP 0 X LEFT",
        "XREAD COUNT 1 X", "PING", "SUBSCRIBE c", "UNSUBSCRIBE x", "SPUBLISH c x", "SUNSUBSCRIBE X",
    ],
)  # fmt: skip
def test_where_no_key_can_be_found_none_is_refused(server: Server, line: str) -> None:
    server.execute("ACL", "SETUSER", "bob", "+@all", "~mine", "&c")
    assert server.execute("ACL", "DRYRUN", "bob", *line.split()) == b"OK"


def test_dryrun(server: Server) -> None:
    server.execute("ACL", "SETUSER", "bob", "+get", "+config|get", "+publish", "~k", "&c")

    def answer(*args: str) -> bytes:
        reply: bytes = server.execute("ACL", "DRYRUN", *args)
        return reply

    assert answer("bob", "get", "k") == b"OK"
    assert answer("bob", "set", "k", "v") == (
        b"This user has no permissions to run the 'set' command"
    )
    assert answer("bob", "config", "set", "a", "b") == (
        b"This user has no permissions to run the 'config|set' command"
    )
    assert answer("bob", "GET", "other") == (
        b"This user has no permissions to access the 'other' key"
    )
    assert answer("bob", "PUBLISH", "x", "m") == (
        b"This user has no permissions to access the 'x' channel"
    )
    admin = server.raw()
    assert refused(admin, "ACL", "DRYRUN", "nobody", "get", "k") == "ERR User 'nobody' not found"
    assert refused(admin, "ACL", "DRYRUN", "bob", "nope", "k") == "ERR Command 'nope' not found"
    assert refused(admin, "ACL", "DRYRUN", "bob", "config", "x") == "ERR Command 'config' not found"
    assert refused(admin, "ACL", "DRYRUN", "bob", "get") == (
        "ERR wrong number of arguments for 'get' command"
    )
    # It leaves nothing in the log.
    assert admin.execute("ACL", "LOG") == []


def test_selectors_stand_for_themselves(server: Server) -> None:
    raw = login(server, "(+@write ~w:*)", "(+@read ~r:*)", "(%R~x +@all)", "(%W~y +@all)")
    assert raw.execute("SET", "w:1", 1) == b"OK"
    assert raw.execute("GET", "r:1") is None
    assert refused(raw, "GET", "w:1") == KEYS
    assert refused(raw, "SET", "r:1", 1) == KEYS
    # Each of the last two allows one half of it.
    assert refused(raw, "COPY", "x", "y") == KEYS


def test_channels(server: Server) -> None:
    raw = login(server, "+@all", "&news:*", "&exact")
    assert raw.execute("PUBLISH", "news:1", "m") == 0
    assert raw.execute("SPUBLISH", "exact", "m") == 0
    assert refused(raw, "PUBLISH", "other", "m") == CHANNELS
    assert refused(raw, "SPUBLISH", "other", "m") == CHANNELS
    assert refused(raw, "SUBSCRIBE", "news:1", "other") == CHANNELS
    assert refused(raw, "SSUBSCRIBE", "other") == CHANNELS
    assert raw.execute("SUBSCRIBE", "news:1") == [b"subscribe", b"news:1", 1]
    # A pattern has to be allowed as it is.
    assert raw.execute("PSUBSCRIBE", "news:*") == [b"psubscribe", b"news:*", 2]
    assert refused(raw, "PSUBSCRIBE", "news:1*") == CHANNELS
    assert raw.execute("UNSUBSCRIBE", "other") == [b"unsubscribe", b"other", 2]


def test_multi(server: Server) -> None:
    raw = login(server, "~mine", "+@transaction", "+set", "+publish", "&c")
    raw.execute("MULTI")
    assert raw.execute("SET", "mine", 1) == b"QUEUED"
    assert refused(raw, "GET", "mine") == command("get")
    assert refused(raw, "EXEC") == "EXECABORT Transaction discarded because of previous errors."
    raw.execute("MULTI")
    for args in (("SET", "mine", 1), ("PUBLISH", "c", "m"), ("SET", "mine", 2)):
        assert raw.execute(*args) == b"QUEUED"
    server.execute("ACL", "SETUSER", "bob", "resetchannels", "resetkeys", "%R~mine")
    assert raw.execute("EXEC") == [
        ReplyError(EXEC + "no permission to touch the specified keys"),
        ReplyError(EXEC + "no permission to access one of the channels used as arguments"),
        ReplyError(EXEC + "no permission to touch the specified keys"),
    ]
    server.execute("ACL", "SETUSER", "bob", "~mine")
    raw.execute("MULTI")
    raw.execute("SET", "mine", 1)
    server.execute("ACL", "SETUSER", "bob", "-set")
    assert raw.execute("EXEC") == [
        ReplyError(EXEC + "no permission to execute the command or subcommand")
    ]
    raw.execute("MULTI")
    server.execute("ACL", "SETUSER", "bob", "-exec")
    assert refused(raw, "EXEC") == (
        "EXECABORT Transaction discarded because of: " + command("exec")
    )
    assert refused(raw, "DISCARD") == "ERR DISCARD without MULTI"


def test_what_no_transaction_may_have_is_said_before_permissions(server: Server) -> None:
    raw = login(server, "+multi", "+exec")
    raw.execute("MULTI")
    assert refused(raw, "SHUTDOWN", "ABORT") == "ERR Command not allowed inside a transaction"
    assert refused(raw, "EXEC") == "EXECABORT Transaction discarded because of previous errors."
    assert raw.execute("MULTI") == b"OK"


def test_scripts(server: Server) -> None:
    raw = login(server, "~mine", "+eval", "+get", "+publish", "&c")
    assert raw.execute("EVAL", "return redis.call('GET', 'mine')", 0) is None
    for call, reason in (
        ("'SET', 'mine', 1", "run this command or subcommand"),
        ("'GET', 'other'", "access at least one of the keys mentioned in the command arguments"),
        ("'PUBLISH', 'x', 'm'", "publish to the channel mentioned in the command"),
    ):
        error = refused(raw, "EVAL", f"return redis.call({call})", 0)
        assert error.startswith(f"ERR {SCRIPT}{reason} script: ")
        caught = raw.execute("EVAL", f"return redis.pcall({call}).err", 0)
        assert caught == f"ERR {SCRIPT}{reason}".encode()
    # Keys that are declared are checked before the script runs.
    assert refused(raw, "EVAL", "return 1", 1, "other") == KEYS


def test_acl_check_cmd(server: Server) -> None:
    raw = login(server, "%R~k", "+eval", "+get", "+config|get")

    def allowed(*args: str) -> bool:
        quoted = ", ".join(f"'{arg}'" for arg in args)
        return raw.execute("EVAL", f"return redis.acl_check_cmd({quoted})", 0) == 1

    assert allowed("GET", "k")
    assert not allowed("GET", "other")
    assert not allowed("SET", "k", "v")
    assert allowed("CONFIG", "GET", "x")
    assert not allowed("CONFIG", "SET", "x", "y")
    assert "Invalid command passed to redis.acl_check_cmd()" in refused(
        raw, "EVAL", "return redis.acl_check_cmd('nope')", 0
    )


def test_functions(server: Server) -> None:
    library = (
        "#!lua name=lib\nredis.register_function('put', "
        "function(keys) return redis.call('SET', keys[1], 1) end)"
    )
    server.execute("FUNCTION", "LOAD", library)
    try:
        raw = login(server, "~*", "+fcall")
        error = refused(raw, "FCALL", "put", 1, "k")
        assert error.startswith(f"ERR {SCRIPT}run this command or subcommand")
        server.execute("ACL", "SETUSER", "bob", "+set")
        assert raw.execute("FCALL", "put", 1, "k") == b"OK"
    finally:
        server.execute("FUNCTION", "FLUSH")


def test_sort_by_and_get_need_every_key(server: Server) -> None:
    server.execute("RPUSH", "list", 1)
    raw = login(server, "(+sort +sort_ro ~list ~w*)")
    denied = "ERR {} option of SORT denied due to insufficient ACL permissions."
    for rules in ((), ("(+sort +sort_ro ~list %W~*)",), ("(+get %R~*)",)):
        server.execute("ACL", "SETUSER", "bob", *rules)
        assert refused(raw, "SORT", "list", "BY", "w*") == denied.format("BY")
        assert refused(raw, "SORT", "list", "GET", "w*") == denied.format("GET")
        assert refused(raw, "SORT_RO", "list", "GET", "#") == denied.format("GET")
        assert raw.execute("SORT", "list", "BY", "nosort") == [b"1"]
        assert refused(raw, "SORT", "list", "LIMIT", "x", "y", "GET", "#").startswith("ERR value")
    server.execute("ACL", "SETUSER", "bob", "(+sort ~list %R~*)")
    assert raw.execute("SORT", "list", "BY", "w*", "GET", "w*") == [None]


def test_deleting_a_user_ends_its_connections(server: Server) -> None:
    mine = login(server, "+@all", "~*", "&*")
    other = login(server, "+@all", "~*", name="eve")
    assert mine.execute("ACL", "DELUSER", "eve", "bob") == 2
    assert b"user=eve" not in server.execute("CLIENT", "LIST")
    for raw in (other, mine):
        with pytest.raises((ReplyError, NothingCame, OSError, EOFError)):
            raw.execute("SET", "k", 1)
    assert server.execute("GET", "k") is None


@pytest.mark.parametrize(
    ("before", "subscription", "after"),
    [
        ("&a:1", ("SUBSCRIBE", "a:1"), ()),
        ("&a:1", ("SSUBSCRIBE", "a:1"), ()),
        ("&a:*", ("PSUBSCRIBE", "a:*"), ("&a:1",)),
        ("&*", ("PSUBSCRIBE", "x"), ()),
        ("&a:*", ("SUBSCRIBE", "a:1"), ("&b",)),
    ],
)
def test_taking_a_channel_away_ends_who_listens(
    server: Server, before: str, subscription: tuple[str, ...], after: tuple[str, ...]
) -> None:
    raw = login(server, "+@all", before)
    raw.execute("CLIENT", "SETNAME", "doomed")
    raw.execute(*subscription)
    server.execute("ACL", "SETUSER", "bob", "resetchannels", before)
    assert b"doomed" in server.execute("CLIENT", "LIST")
    server.execute("ACL", "SETUSER", "bob", "resetchannels", *after)
    assert b"doomed" not in server.execute("CLIENT", "LIST")
    assert server.execute("PUBSUB", "NUMPAT") == 0
    assert server.execute("PUBSUB", "CHANNELS") == []


def test_who_listens_to_what_stays_allowed_stays(server: Server) -> None:
    raw = login(server, "+@all", "&a", "&b:*", "&c")
    raw.execute("CLIENT", "SETNAME", "pardoned")
    raw.execute("SUBSCRIBE", "a")
    raw.execute("PSUBSCRIBE", "b:*")
    raw.execute("SSUBSCRIBE", "c")
    server.execute("ACL", "SETUSER", "bob", "resetchannels", "&a*", "&b:*", "&?", "&new")
    assert b"pardoned" in server.execute("CLIENT", "LIST")
    server.execute("ACL", "SETUSER", "bob", "allchannels")
    assert b"pardoned" in server.execute("CLIENT", "LIST")


def test_client_list_and_kill_know_the_user(server: Server) -> None:
    raw = login(server, "+@all", "~*")
    number = raw.execute("CLIENT", "ID")
    assert b" user=bob " in server.execute("CLIENT", "LIST", "ID", number)
    assert refused(server.raw(), "CLIENT", "KILL", "USER", "nobody") == (
        "ERR No such user 'nobody'"
    )
    assert server.execute("CLIENT", "KILL", "USER", "bob") == 1
    assert server.execute("CLIENT", "LIST", "ID", number) == b""


def test_reset_makes_it_the_default_user_again(server: Server) -> None:
    raw = login(server, "+@all")
    assert raw.execute("RESET") == b"RESET"
    assert raw.execute("ACL", "WHOAMI") == b"default"
    assert raw.execute("SET", "k", 1) == b"OK"


def test_a_blocked_client_goes_on(server: Server) -> None:
    raw = login(server, "+@all", "~list")
    raw.send("BLPOP", "list", 0)
    until_blocked(server, 1)
    server.execute("ACL", "SETUSER", "bob", "resetkeys", "-@all")
    server.execute("RPUSH", "list", "x")
    assert raw.receive() == [b"list", b"x"]
