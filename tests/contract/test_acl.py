"""ACL: the rules that make a user, and what LIST and GETUSER say of one."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError

HASH = hashlib.sha256(b"secret").hexdigest()
MODIFIER = "ERR Error in ACL SETUSER modifier "
UNKNOWN = "Unknown command or category name in ACL"
AFTER_ALL_KEYS = (
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
    "any effect. Try 'resetkeys' to start with an empty list of patterns"
)
AFTER_ALL_CHANNELS = (
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
    "have any effect. Try 'resetchannels' to start with an empty list of channels"
)
NO_PASSWORD = "The password you are trying to remove from the user does not exist"
OF_A_CHILD = "Allowing first-arg of a subcommand is not supported"
BAD_HASH = (
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
    "characters"
)


def refused(server: Server, *args: str | int | bytes) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def user(server: Server, name: str) -> dict[bytes, Any]:
    """GETUSER as RESP3 has it."""
    answer: dict[bytes, Any] = server.raw(protocol=3).execute("ACL", "GETUSER", name)
    return answer


def listed(server: Server, *rules: str) -> str:
    """The line that LIST has for a new user with these rules, without its `user u `."""
    server.execute("ACL", "SETUSER", "u", "reset", *rules)
    lines = server.execute("ACL", "LIST")
    found = [line for line in lines if line.startswith(b"user u ")]
    assert len(found) == 1
    return str(found[0].removeprefix(b"user u ").decode())


def test_the_default_user(server: Server) -> None:
    assert server.execute("ACL", "WHOAMI") == b"default"
    assert server.execute("ACL", "LIST") == [b"user default on nopass ~* &* +@all"]
    assert server.execute("ACL", "USERS") == [b"default"]
    assert user(server, "default") == {
        b"flags": [b"on", b"nopass"],
        b"passwords": [],
        b"commands": b"+@all",
        b"keys": b"~*",
        b"channels": b"&*",
        b"selectors": [],
    }


def test_a_new_user_may_do_nothing(server: Server) -> None:
    assert server.execute("ACL", "SETUSER", "bob") == b"OK"
    assert user(server, "bob") == {
        b"flags": [b"off"],
        b"passwords": [],
        b"commands": b"-@all",
        b"keys": b"",
        b"channels": b"",
        b"selectors": [],
    }
    assert server.execute("ACL", "LIST")[0] == b"user bob off resetchannels -@all"
    server.execute("ACL", "SETUSER", "alice")
    server.execute("ACL", "SETUSER", "Zoe")
    assert server.execute("ACL", "USERS") == [b"Zoe", b"alice", b"bob", b"default"]
    assert server.execute("ACL", "GETUSER", "nobody") is None


def test_getuser_is_flat_in_resp2(server: Server) -> None:
    server.execute("ACL", "SETUSER", "bob", "on", "(+get ~k)")
    answer = server.execute("ACL", "GETUSER", "bob")
    assert answer[::2] == [b"flags", b"passwords", b"commands", b"keys", b"channels", b"selectors"]
    assert answer[11] == [[b"commands", b"-@all +get", b"keys", b"~k", b"channels", b""]]


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        ([], "off sanitize-payload resetchannels -@all"),
        (["on", "nopass"], "on nopass sanitize-payload resetchannels -@all"),
        (["ON", "NoPass", "AllKeys"], "on nopass sanitize-payload ~* resetchannels -@all"),
        (["skip-sanitize-payload"], "off skip-sanitize-payload resetchannels -@all"),
        (["on", "off"], "off sanitize-payload resetchannels -@all"),
        ([">secret"], f"off sanitize-payload #{HASH} resetchannels -@all"),
        ([">secret", f"#{HASH}"], f"off sanitize-payload #{HASH} resetchannels -@all"),
        ([">secret", "<secret"], "off sanitize-payload resetchannels -@all"),
        ([">secret", f"!{HASH}"], "off sanitize-payload resetchannels -@all"),
        ([">secret", "nopass"], "off nopass sanitize-payload resetchannels -@all"),
        (["nopass", ">secret"], f"off sanitize-payload #{HASH} resetchannels -@all"),
        (["nopass", "resetpass"], "off sanitize-payload resetchannels -@all"),
        ([""], "off sanitize-payload resetchannels -@all"),
        (["~a", "~b", "~a"], "off sanitize-payload ~a ~b resetchannels -@all"),
        (["%R~a", "%W~b", "%RW~c"], "off sanitize-payload %R~a %W~b ~c resetchannels -@all"),
        (["%R~a", "%w~a", "%Wr~b"], "off sanitize-payload ~a ~b resetchannels -@all"),
        (["~a", "allkeys"], "off sanitize-payload ~* resetchannels -@all"),
        (["~*", "resetkeys", "~b"], "off sanitize-payload ~b resetchannels -@all"),
        (["%RW"], "off sanitize-payload ~ resetchannels -@all"),
        (["&a", "&b*", "&a"], "off sanitize-payload resetchannels &a &b* -@all"),
        (["&a", "allchannels"], "off sanitize-payload &* -@all"),
        (["&*", "resetchannels", "&c"], "off sanitize-payload resetchannels &c -@all"),
        (["+@all"], "off sanitize-payload resetchannels +@all"),
        (["allcommands", "nocommands"], "off sanitize-payload resetchannels -@all"),
        (["+get"], "off sanitize-payload resetchannels -@all +get"),
        (["+GET", "-get"], "off sanitize-payload resetchannels -@all"),
        (["+@all", "-config|set"], "off sanitize-payload resetchannels +@all -config|set"),
        (["+@all", "-memory"], "off sanitize-payload resetchannels +@all -memory"),
        (["+memory|doctor"], "off sanitize-payload resetchannels -@all +memory|doctor"),
        (["+memory|doctor", "+memory"], "off sanitize-payload resetchannels -@all +memory"),
        (
            ["+select|0", "+select|1"],
            "off sanitize-payload resetchannels -@all +select|0 +select|1",
        ),
        (["+select|0", "+SELECT|0"], "off sanitize-payload resetchannels -@all +select|0"),
        (["+select|0", "+select"], "off sanitize-payload resetchannels -@all +select"),
        (["+select|0", "-select"], "off sanitize-payload resetchannels -@all"),
        (["+select|0", "+@all"], "off sanitize-payload resetchannels +@all"),
        (["(+get ~a)"], "off sanitize-payload resetchannels -@all (~a resetchannels -@all +get)"),
        (
            ["(~*", "&x", ")"],
            "off sanitize-payload resetchannels -@all (~* resetchannels &x -@all)",
        ),
        (["()"], "off sanitize-payload resetchannels -@all (resetchannels -@all)"),
        (["(~a)", "(~b)", "clearselectors"], "off sanitize-payload resetchannels -@all"),
    ],
)
def test_rules(server: Server, rules: list[str], line: str) -> None:
    assert listed(server, *rules) == line


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["nonsense"], f"{MODIFIER}'nonsense': Syntax error"),
        (["+nonsense"], f"{MODIFIER}'+nonsense': {UNKNOWN}"),
        (["+@nonsense"], f"{MODIFIER}'+@nonsense': {UNKNOWN}"),
        (["-config|nonsense"], f"{MODIFIER}'-config|nonsense': {UNKNOWN}"),
        (["+config|nonsense"], f"{MODIFIER}'+config|nonsense': {UNKNOWN}"),
        (["+get|a|b"], f"{MODIFIER}'+get|a|b': {UNKNOWN}"),
        (["-select|0"], f"{MODIFIER}'-select|0': {UNKNOWN}"),
        (["+select|"], f"{MODIFIER}'+select|': Syntax error"),
        (["+config|"], f"{MODIFIER}'+config|': Syntax error"),
        (["-config|"], f"{MODIFIER}'-config|': {UNKNOWN}"),
        (["+|"], f"{MODIFIER}'+|': {UNKNOWN}"),
        (["+"], f"{MODIFIER}'+': {UNKNOWN}"),
        (["+@"], f"{MODIFIER}'+@': {UNKNOWN}"),
        (
            ["+config|get|appendonly"],
            f"{MODIFIER}'+config|get|appendonly': {OF_A_CHILD}",
        ),
        (["~*", "~a"], f"{MODIFIER}'~a': {AFTER_ALL_KEYS}"),
        (["~*", "%R~a"], f"{MODIFIER}'%R~a': {AFTER_ALL_KEYS}"),
        (["&*", "&a"], f"{MODIFIER}'&a': {AFTER_ALL_CHANNELS}"),
        (["~a b"], f"{MODIFIER}'~a b': Syntax error"),
        (["&a\tb"], f"{MODIFIER}'&a\tb': Syntax error"),
        (["%"], f"{MODIFIER}'%': Syntax error"),
        (["%~a"], f"{MODIFIER}'%~a': Syntax error"),
        (["%RR~a"], f"{MODIFIER}'%RR~a': Syntax error"),
        (["%X~a"], f"{MODIFIER}'%X~a': Syntax error"),
        (["<unknown"], f"{MODIFIER}'<unknown': {NO_PASSWORD}"),
        (["#abc"], f"{MODIFIER}'#abc': {BAD_HASH}"),
        (["!abc"], f"{MODIFIER}'!abc': {BAD_HASH}"),
        ([f"#{HASH.upper()}"], f"{MODIFIER}'#{HASH.upper()}': {BAD_HASH}"),
        (["(+get"], "ERR Unmatched parenthesis in acl selector starting at '(+get'."),
        (["("], "ERR Unmatched parenthesis in acl selector starting at '('."),
        ([")"], f"{MODIFIER}')': Syntax error"),
        ([" () "], f"{MODIFIER}' () ': Syntax error"),
        (["(nonsense)"], f"{MODIFIER}'(nonsense)': Syntax error"),
        (["(on)"], f"{MODIFIER}'(on)': Syntax error"),
        (["(&*", "&a)"], f"{MODIFIER}'(&* &a)': {AFTER_ALL_CHANNELS}"),
    ],
)  # fmt: skip
def test_rules_that_are_refused(server: Server, rules: list[str], message: str) -> None:
    assert refused(server, "ACL", "SETUSER", "bob", "on", *rules) == message
    # Nothing of it has happened.
    assert server.execute("ACL", "GETUSER", "bob") is None
    server.execute("ACL", "SETUSER", "bob", "~old")
    assert refused(server, "ACL", "SETUSER", "bob", "on", "resetkeys", *rules) == message
    assert user(server, "bob")[b"flags"] == [b"off"]
    assert user(server, "bob")[b"keys"] == b"~old"


def test_names_of_users(server: Server) -> None:
    for name in ("a b", "a\tb", b"a\0b"):
        assert refused(server, "ACL", "SETUSER", name) == (
            "ERR Usernames can't contain spaces or null characters"
        )
    assert server.execute("ACL", "SETUSER", b"\xff\x01") == b"OK"
    assert server.execute("ACL", "SETUSER", "") == b"OK"
    assert server.execute("ACL", "USERS") == [b"", b"default", b"\xff\x01"]


def test_each_category_is_described_as_itself(server: Server) -> None:
    for category in server.execute("ACL", "CAT"):
        name = category.decode()
        server.execute("ACL", "SETUSER", "less", "reset", "+@all", f"-@{name}")
        assert user(server, "less")[b"commands"].decode() == f"+@all -@{name}"
        server.execute("ACL", "SETUSER", "more", "reset", f"+@{name}")
        assert user(server, "more")[b"commands"].decode() == f"-@all +@{name}"


def test_categories_and_what_differs_from_them(server: Server) -> None:
    def described(*rules: str) -> set[bytes]:
        server.execute("ACL", "SETUSER", "u", "reset", *rules)
        # Without their order: larger categories come first, and the engine's have 7.4's commands.
        return set(user(server, "u")[b"commands"].split())

    assert described("+@string", "-incr") == {b"-@all", b"+@string", b"-incr"}
    assert described("+@all", "-@string", "+incr") == {b"+@all", b"-@string", b"+incr"}
    assert described("+@hash", "+@list", "+ping") == {b"-@all", b"+@hash", b"+@list", b"+ping"}
    assert described("+@all", "-client", "+client|id", "+client|setname") == {
        b"+@all", b"-client", b"+client|id", b"+client|setname",
    }  # fmt: skip


def test_what_is_described_makes_the_same_user_again(server: Server) -> None:
    rules = ("on", ">a", "%R~x", "~y", "&c", "+@read", "-get", "+select|1", "(+@hash -hset ~*)")
    line = listed(server, *rules)
    assert listed(server, *line.split()) == line


def test_deluser(server: Server) -> None:
    for name in ("a", "b"):
        server.execute("ACL", "SETUSER", name)
    assert server.execute("ACL", "DELUSER", "a", "nobody", "b", "a") == 2
    assert server.execute("ACL", "USERS") == [b"default"]
    server.execute("ACL", "SETUSER", "a")
    assert refused(server, "ACL", "DELUSER", "a", "default") == (
        "ERR The 'default' user cannot be removed"
    )
    assert server.execute("ACL", "USERS") == [b"a", b"default"]


def test_cat(server: Server) -> None:
    assert server.execute("ACL", "CAT") == [
        b"keyspace", b"read", b"write", b"set", b"sortedset", b"list", b"hash", b"string",
        b"bitmap", b"hyperloglog", b"geo", b"stream", b"pubsub", b"admin", b"fast", b"slow",
        b"blocking", b"dangerous", b"connection", b"transaction", b"scripting",
    ]  # fmt: skip
    assert sorted(server.execute("ACL", "CAT", "transaction")) == [
        b"discard", b"exec", b"multi", b"unwatch", b"watch",
    ]  # fmt: skip
    assert b"function|list" in server.execute("ACL", "CAT", "Scripting")
    assert b"get" not in server.execute("ACL", "CAT", "keyspace")
    assert refused(server, "ACL", "CAT", "nope") == "ERR Unknown category 'nope'"
    assert refused(server, "ACL", "CAT", "a", "b") == (
        "ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP."
    )


def test_genpass(server: Server) -> None:
    assert re.fullmatch(b"[0-9a-f]{64}", server.execute("ACL", "GENPASS"))
    assert server.execute("ACL", "GENPASS") != server.execute("ACL", "GENPASS")
    for bits, length in ((1, 1), (4, 1), (5, 2), (12, 3), (4096, 1024)):
        assert len(server.execute("ACL", "GENPASS", bits)) == length
    for bits in (0, -1, 4097):
        assert refused(server, "ACL", "GENPASS", bits) == (
            "ERR ACL GENPASS argument must be the number of bits for the output password, a "
            "positive number up to 4096"
        )
    assert refused(server, "ACL", "GENPASS", "x") == "ERR value is not an integer or out of range"


def test_help_and_what_is_no_subcommand(server: Server) -> None:
    lines = server.execute("ACL", "HELP")
    assert lines[0] == b"ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert lines[-2:] == [b"HELP", b"    Prints this help."]
    assert len(lines) == 29
    assert refused(server, "ACL", "HELP", "x") == (
        "ERR wrong number of arguments for 'acl|help' command"
    )
    assert refused(server, "ACL", "NOPE") == "ERR unknown subcommand 'NOPE'. Try ACL HELP."
    for name in ("LOAD", "SAVE"):
        assert refused(server, "ACL", name).startswith(
            "ERR This Redis instance is not configured to use an ACL file. You may want to specify "
        )


def test_acl_pubsub_default(server: Server) -> None:
    server.execute("CONFIG", "SET", "acl-pubsub-default", "allchannels")
    server.execute("ACL", "SETUSER", "new", "(+get)")
    assert user(server, "new")[b"channels"] == b"&*"
    assert user(server, "new")[b"selectors"][0][b"channels"] == b"&*"
    assert refused(server, "ACL", "SETUSER", "new", "&a").endswith(AFTER_ALL_CHANNELS)
    server.execute("CONFIG", "SET", "acl-pubsub-default", "resetchannels")
    assert user(server, "new")[b"channels"] == b"&*"
    server.execute("ACL", "SETUSER", "new", "reset")
    assert user(server, "new")[b"channels"] == b""


def test_the_parameters(server: Server) -> None:
    found = server.execute("CONFIG", "GET", "acl*")
    assert dict(zip(found[::2], found[1::2], strict=True)) == {
        b"acl-pubsub-default": b"resetchannels",
        b"aclfile": b"",
        b"acllog-max-len": b"128",
    }
    assert refused(server, "CONFIG", "SET", "aclfile", "x").endswith("can't set immutable config")
