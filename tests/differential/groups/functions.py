"""FUNCTION and FCALL: libraries that load or do not, replace one another, and are called."""

from __future__ import annotations

from cacheapp.engine.config import Config
from cacheapp.engine.persistence.payloads import dump_libraries
from tests.differential.grammar import ANY_KEY, TEXT, Group, many, maybe, seq, word

CODE = word(
    "#!lua name=a\nredis.register_function('one', function() return 1 end)",
    "#!lua name=a\nredis.register_function('ONE', function(k, a) return {k, a} end)",
    "#!lua name=b\nlocal n = 0 redis.register_function('n', function() n = n + 1 return n end)",
    "#!lua name=b\nredis.register_function('one', function() return 'b' end)",
    "#!lua name=A\nredis.register_function('g', function(k) return redis.call('GET', k[1]) end)",
    "#!lua name=c\nredis.register_function{function_name='g', flags={'no-writes'}, "
    "callback=function(k) return redis.call('GET', k[1]) end}",
    "#!lua name=d\nredis.register_function{function_name='s', flags={'no-writes'}, "
    "callback=function(k) return redis.call('SET', k[1], 'x') end}",
    "#!lua name=d\nredis.register_function('s', function(k) return redis.call('SET', k[1], 1) end)",
    "#!lua name=e\nx = 1", "#!lua name=e\nreturn (", "#!lua name=e\n", "#!lua name=e",
    "#!lua\n", "#!js name=e\n", "#!lua name=e-\n", "#!lua what=e\n", "return 1", "",
    "#!lua name=e\nredis.call('GET', 'a')", "#!lua name=e\nredis.register_function('f')",
)  # fmt: skip
ONE, OTHER, SAME = (
    f"#!lua name={name}\nredis.register_function('{function}', function() return 1 end)".encode()
    for name, function in (("a", "one"), ("b", "n"), ("c", "ONE"))
)
# A payload of several libraries has them in the order of Redis's hash table.
LIBRARIES = word(
    *(dump_libraries(codes, Config()) for codes in ([ONE], [OTHER], [SAME], [ONE, OTHER], [])),
    dump_libraries([ONE, ONE], Config()), dump_libraries([ONE, SAME], Config()),
    dump_libraries([b"return 1"], Config()), "rubbish", "",
)  # fmt: skip
LIBRARY = word("a", "b", "c", "A", "zz")
FUNCTION = word("one", "ONE", "n", "g", "s", "zz")

COMMANDS = [
    seq("FUNCTION LOAD", CODE),
    seq("FUNCTION LOAD", CODE),
    seq("FUNCTION LOAD REPLACE", CODE),
    seq("FUNCTION DELETE", LIBRARY),
    seq("FUNCTION LIST", "LIBRARYNAME", word("B", "zz", "c"), maybe(word("WITHCODE", "NOPE"))),
    seq("FUNCTION DUMP"),
    seq("FUNCTION RESTORE", LIBRARIES, maybe(word("FLUSH", "append", "REPLACE", "NOPE"))),
    seq("FUNCTION STATS"),
    seq("FUNCTION FLUSH", word("ASYNC", "sync", "NOW")),
    seq("FUNCTION", word("NOPE", "KILL")),
    seq("FCALL", FUNCTION, word("1", "1", "1", "0", "-1", "9", "x"), ANY_KEY, many(TEXT, low=0)),
    seq("FCALL", FUNCTION, "1", ANY_KEY, TEXT),
    seq("FCALL_RO", FUNCTION, "1", ANY_KEY),
]

EXTRA = (
    seq("GET", ANY_KEY),
    seq("SET", ANY_KEY, TEXT),
)

GROUP = Group("functions", COMMANDS, EXTRA)
