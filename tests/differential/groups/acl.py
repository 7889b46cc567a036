"""Users: rules, what is said of them, and what they may do with keys and channels.

Nobody is deleted, since that ends connections, and the log is not looked at, since it shows
addresses. Of single commands only GET is allowed by itself: Redis has no order for several.
"""

from __future__ import annotations

from tests.differential.grammar import ANY_KEY, TEXT, Group, choice, many, maybe, seq, word

USER = word("u1", "u2", "u1", "u2", "nobody")
PASSWORD = word("a", "b", "")
RULE = word(
    "on", "on", "off", "nopass", "resetpass", ">a", "<a", ">b", "<b", "#x", "!x", "reset", "",
    "sanitize-payload", "skip-sanitize-payload", "clearselectors", "RESETKEYS", "nonsense",
    "~*", "allkeys", "resetkeys", "~s*", "~l0", "%R~s*", "%W~h*", "%RW~z0", "%r~s*", "%X~a", "%",
    "&*", "allchannels", "resetchannels", "&c", "&d*", "&", "~", "~a b",
    "+@all", "+@all", "-@all", "allcommands", "nocommands", "+get", "-get", "+GET", "+get|s0",
    "+get|s1", "+nope", "-nope", "+@nope", "+get|", "+config|get|x", "+config|nope", "-get|s0",
    "(~s* +@all)", "(%R~* +get)", "(&*", "+get)", "(", ")", "()", "( ~l0 )", "(nonsense)",
)  # fmt: skip
RIGHTS = many(choice(RULE, RULE, seq("on nopass"), seq("+@all ~*"), seq("+@all %R~s*")), high=6)
ANY_COMMAND = choice(
    seq("GET", ANY_KEY),
    seq("SET", ANY_KEY, TEXT, maybe(word("GET", "NX"))),
    seq("MGET", many(ANY_KEY)),
    seq("COPY", ANY_KEY, ANY_KEY),
    seq("SUNIONSTORE", ANY_KEY, many(ANY_KEY)),
    seq("ZUNIONSTORE", ANY_KEY, word("1", "2", "x"), many(ANY_KEY)),
    seq("SORT", ANY_KEY, maybe("BY", word("w*", "nosort")), maybe("STORE", ANY_KEY)),
    seq("BITFIELD", ANY_KEY, word("GET", "SET", "nope"), "u4 0", maybe("1")),
    seq("EVAL", "return1", word("0", "1", "x"), ANY_KEY),
    seq("XREAD STREAMS", ANY_KEY, "0"),
    seq("PUBLISH", word("c", "d1", "e"), TEXT),
    seq("CONFIG GET maxmemory"),
    seq("SELECT", word("0", "1")),
)

COMMANDS = [
    seq("ACL SETUSER", USER, RIGHTS),
    seq("ACL SETUSER", USER, RIGHTS),
    seq("ACL GETUSER", USER),
    seq("ACL DRYRUN", USER, ANY_COMMAND),
    seq("ACL DRYRUN", USER, ANY_COMMAND),
    seq("ACL DRYRUN", USER, word("nope", "config", "get")),
    seq("ACL", word("LIST", "USERS", "WHOAMI", "CAT", "LOAD", "SAVE", "NOPE")),
    seq("ACL CAT", word("nope", "")),
    seq("ACL DELUSER", word("default", "nobody")),
    seq("AUTH", maybe(USER), PASSWORD),
    seq("HELLO", word("2", "3", "4"), "AUTH", USER, PASSWORD, maybe("SETNAME", word("me", "x y"))),
    seq("RESET"),
    seq("MULTI"),
    seq("EXEC"),
    seq("DISCARD"),
]

GROUP = Group("acl", COMMANDS, (ANY_COMMAND,))
