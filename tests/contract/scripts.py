"""Scripts with what Redis 7.0.15 answers for them, for `test_scripting`.

Each list is one side of scripting: what a script may return, what it gets from redis.call, how it
fails, and the libraries. A third value, where there is one, is the answer in RESP3.
"""

from __future__ import annotations

import math
from typing import Any

from tests.raw import ReplyError

RESULTS: list[tuple[str, Any, Any]] = [
    ("return 1", 1, 1),
    ("return 3.99", 3, 3),
    ("return -3.99", -3, -3),
    ("return 2^62", 4611686018427387904, 4611686018427387904),
    ("return 2^63", -9223372036854775808, -9223372036854775808),
    ("return 0/0", -9223372036854775808, -9223372036854775808),
    ("return 'text'", b"text", b"text"),
    ("return '\\0\\255'", b"\x00\xff", b"\x00\xff"),
    ("return ''", b"", b""),
    ("return true", 1, 1),
    ("return false", None, None),
    ("return nil", None, None),
    ("return", None, None),
    ("return 1, 2", 1, 1),
    ("return {}", [], []),
    ("return {1, 'a', 2.9, {true, false}}", [1, b"a", 2, [1, None]], [1, b"a", 2, [1, None]]),
    ("return {1, nil, 3}", [1], [1]),
    ("return {x = 1}", [], []),
    ("return {[2] = 1}", [], []),
    ("return function() end", None, None),
    ("return redis.call", None, None),
    ("return {ok = 'FINE'}", b"FINE", b"FINE"),
    ("return {ok = 'two\\r\\nlines'}", b"two  lines", b"two  lines"),
    ("return redis.status_reply('X')", b"X", b"X"),
    ("return {map = {a = 1}}", [b"a", 1], {b"a": 1}),
    ("return {set = {a = true}}", [b"a"], [b"a"]),
    ("return {double = 3.25}", b"3.25", 3.25),
    ("return {double = 1 / 0}", b"inf", math.inf),
    ("return {big_number = '123456789'}", b"123456789", b"123456789"),
    ("return {verbatim_string = {format = 'txt', string = 'x'}}", b"x", b"x"),
    ("redis.setresp(3) return true", 1, True),
    ("redis.setresp(3) return {true, false}", [1, 0], [True, False]),
    ("redis.setresp(3) return {map = {a = false}}", [b"a", 0], {b"a": False}),
    ("return setmetatable({}, {__index = function() return 1 end})", [], []),
    ("return {10 / 3, 2 ^ 53, -0.5}", [3, 9007199254740992, 0], [3, 9007199254740992, 0]),
    ("return cjson.null", None, None),
]

REPLIES: list[tuple[str, Any, Any]] = [
    ("return redis.call('PING')", b"PONG", b"PONG"),
    ("return redis.call('GET', 'missing')", None, None),
    ("return type(redis.call('GET', 'missing'))", b"boolean", b"boolean"),
    ("redis.setresp(3) return type(redis.call('GET', 'missing'))", b"nil", b"nil"),
    ("return redis.call('SET', 'k', 12)", b"OK", b"OK"),
    ("redis.call('SET', 'k', 1.5) return redis.call('GET', 'k')", b"1.5", b"1.5"),
    (
        "redis.call('SET', 'k', 1e15) return redis.call('GET', 'k')",
        b"1000000000000000",
        b"1000000000000000",
    ),
    ("redis.call('SET', 'k', 1e17) return redis.call('GET', 'k')", b"1e+17", b"1e+17"),
    (
        "redis.call('SET', 'k', 0.1) return redis.call('GET', 'k')",
        b"0.10000000000000001",
        b"0.10000000000000001",
    ),
    ("return redis.call('SET', 'k', 'v').ok", b"OK", b"OK"),
    ("redis.call('SET', 'k', 'a\\0b') return redis.call('GET', 'k')", b"a\x00b", b"a\x00b"),
    ("return type(redis.call('INCRBY', 'k', 5))", b"number", b"number"),
    (
        "redis.call('HSET', 'h', 'f', 'v') return redis.call('HGETALL', 'h')",
        [b"f", b"v"],
        [b"f", b"v"],
    ),
    (
        (
            "redis.call('HSET', 'h', 'f', 'v') redis.setresp(3) return redis.call('HGETALL', "
            "'h').map.f"
        ),
        b"v",
        b"v",
    ),
    (
        ("redis.call('HSET', 'h', 'f', 'v') redis.setresp(3) return redis.call('HGETALL', 'h')"),
        [b"f", b"v"],
        {b"f": b"v"},
    ),
    (
        (
            "redis.call('SADD', 's', 'm') redis.setresp(3) return "
            "tostring(redis.call('SMEMBERS', 's').set.m)"
        ),
        b"true",
        b"true",
    ),
    ("redis.call('ZADD', 'z', 1.5, 'm') return redis.call('ZSCORE', 'z', 'm')", b"1.5", b"1.5"),
    (
        (
            "redis.call('ZADD', 'z', 1.5, 'm') redis.setresp(3) return redis.call('ZSCORE', "
            "'z', 'm').double * 2"
        ),
        3,
        3,
    ),
    (
        (
            "redis.call('ZADD', 'z', 1.5, 'm') redis.setresp(3) return redis.call('ZRANGE', "
            "'z', 0, -1, 'WITHSCORES')"
        ),
        [[b"m", b"1.5"]],
        [[b"m", 1.5]],
    ),
    (
        "redis.call('RPUSH', 'l', 1, 2) return redis.call('LRANGE', 'l', 0, -1)",
        [b"1", b"2"],
        [b"1", b"2"],
    ),
    ("redis.call('SELECT', 3) redis.call('SET', 'k', 3) return redis.call('GET', 'k')", b"3", b"3"),
    (
        "return redis.pcall('NOPE').err",
        b"ERR Unknown Redis command called from script",
        b"ERR Unknown Redis command called from script",
    ),
    ("return type(redis.pcall('NOPE'))", b"table", b"table"),
    (
        "return {redis.pcall('NOPE'), 2}",
        [ReplyError("ERR Unknown Redis command called from script"), 2],
        [ReplyError("ERR Unknown Redis command called from script"), 2],
    ),
    (
        "local ok, text = pcall(redis.call, 'NOPE') return {tostring(ok), text}",
        [b"false", b"ERR Unknown Redis command called from script"],
        [b"false", b"ERR Unknown Redis command called from script"],
    ),
    (
        (
            "local _, text = xpcall(function() redis.call('NOPE') end, function(e) return "
            "e.err end) return text"
        ),
        b"ERR Unknown Redis command called from script",
        b"ERR Unknown Redis command called from script",
    ),
    (
        (
            "local co = coroutine.create(function() redis.call('NOPE') end) local ok, e = "
            "coroutine.resume(co) return {tostring(ok), e.err}"
        ),
        [b"false", b"ERR Unknown Redis command called from script"],
        [b"false", b"ERR Unknown Redis command called from script"],
    ),
]

# The error's text, and the line that it names (0: none).
ERRORS: list[tuple[str, str, int]] = [
    (
        "return missing",
        ("ERR user_script:1: Script attempted to access nonexistent global variable 'missing'"),
        1,
    ),
    ("x = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
    (
        "return (",
        (
            "ERR Error compiling script (new function): user_script:1: unexpected symbol near "
            "'<eof>'"
        ),
        0,
    ),
    ("error('boom')", "ERR user_script:1: boom", 1),
    ("error('boom', 0)", "ERR boom", 1),
    ("error({err = 'MINE text'})", "MINE text", 1),
    ("error({err = 'MINE'})", "MINE", 1),
    ("error()", "ERR nil", 1),
    ("error(12)", "ERR user_script:1: 12", 1),
    ("\n\nerror('line 3')", "ERR user_script:3: line 3", 3),
    ("local function f()\n  error('inside')\nend\nf()", "ERR user_script:2: inside", 2),
    ("return {err = 'MINE text'}", "MINE text", 0),
    ("return redis.error_reply('MINE text')", "MINE text", 0),
    ("return redis.error_reply('-MINE text')", "MINE text", 0),
    ("return redis.error_reply('single')", "ERR single", 0),
    ("return redis.error_reply()", "ERR wrong number or type of arguments", 0),
    ("return redis.status_reply(1)", "ERR wrong number or type of arguments", 0),
    ("return redis.call()", "ERR Please specify at least one argument for this redis lib call", 1),
    ("return redis.call({})", "ERR Lua redis lib command arguments must be strings or integers", 1),
    (
        "return redis.call('SET', 'k', {})",
        "ERR Lua redis lib command arguments must be strings or integers",
        1,
    ),
    (
        "return redis.call('SET', 'k', true)",
        "ERR Lua redis lib command arguments must be strings or integers",
        1,
    ),
    ("return redis.call('GET')", "ERR Wrong number of args calling Redis command from script", 1),
    ("return redis.call('NOPE', 'x')", "ERR Unknown Redis command called from script", 1),
    ("return redis.call('CONFIG', 'NOPE')", "ERR Unknown Redis command called from script", 1),
    (
        "return redis.call('OBJECT')",
        "ERR Wrong number of args calling Redis command from script",
        1,
    ),
    ("return redis.call('MULTI')", "ERR This Redis command is not allowed from script", 1),
    (
        "return redis.call('EVAL', 'return 1', 0)",
        "ERR This Redis command is not allowed from script",
        1,
    ),
    ("return redis.call('SUBSCRIBE', 'c')", "ERR This Redis command is not allowed from script", 1),
    (
        "return redis.call('CONFIG', 'GET', 'maxmemory')",
        "ERR This Redis command is not allowed from script",
        1,
    ),
    ("return redis.call('AUTH', 'x')", "ERR This Redis command is not allowed from script", 1),
    (
        "redis.call('SET', 'k', 'v') return redis.call('INCRBY', 'k', 1)",
        "ERR value is not an integer or out of range",
        1,
    ),
    (
        "redis.call('SET', 'k', 'v')\nreturn redis.call('LPUSH', 'k', 1)",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        2,
    ),
    ("return redis.pcall('GET')", "ERR Wrong number of args calling Redis command from script", 0),
    ("redis.foo = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
    ("string.foo = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
    ("_G.foo = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
    ("KEYS = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
    ("rawset(_G, 'x', 1)", "ERR Attempt to modify a readonly table", 1),
    ("rawset(string, 'x', 1)", "ERR Attempt to modify a readonly table", 1),
    ("setmetatable(_G, {})", "ERR Attempt to modify a readonly table", 1),
    ("setmetatable(string, nil)", "ERR Attempt to modify a readonly table", 1),
    ("table.insert(redis, 1)", "ERR Attempt to modify a readonly table", 1),
    ("return {}..'x'", "ERR user_script:1: attempt to concatenate a table value", 1),
    ("local x = nil; return x.y", "ERR user_script:1: attempt to index local 'x' (a nil value)", 1),
    ("return 1 < 'x'", "ERR user_script:1: attempt to compare number with string", 1),
    ("local function f() return f() + 1 end return f()", "ERR user_script:1: stack overflow", 1),
    (
        "string.rep()",
        "ERR user_script:1: bad argument #1 to 'rep' (string expected, got no value)",
        1,
    ),
    (
        "return string.format('%d', 'x')",
        "ERR user_script:1: bad argument #2 to 'format' (number expected, got string)",
        1,
    ),
    ("pairs(nil)", "ERR user_script:1: bad argument #1 to 'pairs' (table expected, got nil)", 1),
    ("redis.log(1)", "ERR redis.log() requires two arguments or more.", 1),
    ("redis.log('x', 'y')", "ERR First argument must be a number (log level).", 1),
    ("redis.log(9, 'text')", "ERR Invalid debug level.", 1),
    ("redis.setresp(4)", "ERR RESP version must be 2 or 3.", 1),
    ("redis.setresp()", "ERR redis.setresp() requires one argument.", 1),
    (
        "redis.set_repl(99)",
        "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        1,
    ),
    ("redis.sha1hex()", "ERR wrong number of arguments", 1),
    ("math.random(5, 1)", "ERR user_script:1: bad argument #2 to 'random' (interval is empty)", 1),
    ("math.random(0)", "ERR user_script:1: bad argument #1 to 'random' (interval is empty)", 1),
    ("coroutine.yield(1)", "ERR attempt to yield across metamethod/C-call boundary", 1),
    ("coroutine.wrap(function() error('q') end)()", "ERR user_script:1: user_script:1: q", 1),
    ("loadstring('x y')()", "ERR user_script:1: attempt to call a nil value", 1),
    ("assert(false)", "ERR user_script:1: assertion failed!", 1),
    ("assert(nil, 'why')", "ERR user_script:1: why", 1),
    ("unpack({}, 1, 1e7)", "ERR user_script:1: too many results to unpack", 1),
]

# For an error, the text that follows its position.
LIBRARIES: list[tuple[str, Any]] = [
    ("return bit.band(0xff, 0x0f, 7)", 7),
    ("return bit.bor(1, 2, 4)", 7),
    ("return bit.bxor(255, 1)", 254),
    ("return bit.bnot(0)", -1),
    ("return bit.tobit(2 ^ 31)", -2147483648),
    ("return bit.lshift(1, 31)", -2147483648),
    ("return bit.rshift(-1, 28)", 15),
    ("return bit.arshift(-256, 4)", -16),
    ("return bit.rol(0x12345678, 8)", 878082066),
    ("return bit.ror(0x12345678, 8)", 2014458966),
    ("return bit.bswap(0x12345678)", 2018915346),
    (
        "return {bit.tohex(255), bit.tohex(255, 4), bit.tohex(-1, -4)}",
        [b"000000ff", b"00ff", b"FFFF"],
    ),
    ("return bit.band('x')", ReplyError("bad argument #1 to 'band' (number expected, got string)")),
    ("return cjson.encode({1, 2, {a = 'x'}})", b'[1,2,{"a":"x"}]'),
    ("return cjson.encode({})", b"{}"),
    ("return cjson.encode('\"\\\\/\\n\\1')", b'"\\"\\\\\\/\\n\\u0001"'),
    ("return cjson.encode({1, cjson.null, true, 0.1, 1e100})", b"[1,null,true,0.1,1e+100]"),
    ("return cjson.encode({[1] = 1, [3] = 3})", b"[1,null,3]"),
    (
        "return cjson.encode({[1] = 1, [100] = 1})",
        ReplyError("Cannot serialise table: excessively sparse array"),
    ),
    ("return cjson.encode(1 / 0)", ReplyError("Cannot serialise number: must not be NaN or Inf")),
    (
        "return cjson.encode(function() end)",
        ReplyError("Cannot serialise function: type not supported"),
    ),
    (
        "return cjson.encode({[{}] = 1})",
        ReplyError("Cannot serialise table: table key must be a number or string"),
    ),
    (
        "local t = {} for i = 1, 1001 do t = {t} end return cjson.encode(t)",
        ReplyError("Cannot serialise, excessive nesting (1001)"),
    ),
    ('return cjson.decode(\'[1, "a", null, true, {"k": [2.5]}]\')', [1, b"a", None, 1, []]),
    ('return cjson.decode(\'{"a": {"b": "c"}}\').a.b', b"c"),
    ("return cjson.decode('\"\\\\u00e9\\\\ud83d\\\\ude00\"')", b"\xc3\xa9\xf0\x9f\x98\x80"),
    ("return tostring(cjson.decode('null') == cjson.null)", b"true"),
    (
        "return cjson.decode('[1,]')",
        ReplyError("Expected value but found T_ARR_END at character 4"),
    ),
    (
        "return cjson.decode('{\"a\" 1}')",
        ReplyError("Expected colon but found T_NUMBER at character 6"),
    ),
    (
        "return cjson.decode('{1:2}')",
        ReplyError("Expected object key string but found T_NUMBER at character 2"),
    ),
    (
        "return cjson.decode('[1 2]')",
        ReplyError("Expected comma or array end but found T_NUMBER at character 4"),
    ),
    (
        "return cjson.decode('tru')",
        ReplyError("Expected value but found invalid token at character 1"),
    ),
    (
        "return cjson.decode('1 2')",
        ReplyError("Expected the end but found T_NUMBER at character 3"),
    ),
    ("return cjson.decode('')", ReplyError("Expected value but found T_END at character 1")),
    (
        "return cjson.decode('\"\\\\x\"')",
        ReplyError("Expected value but found invalid escape code at character 2"),
    ),
    (
        "return cjson.decode(('['):rep(1001))",
        ReplyError("Found too many nested data structures (1001) at character 1001"),
    ),
    (
        "return cjson.decode({})",
        ReplyError("bad argument #1 to 'decode' (string expected, got table)"),
    ),
    (
        "return cmsgpack.pack({1, 'a', true, {k = 1.5}})",
        b"\x94\x01\xa1a\xc3\x81\xa1k\xca?\xc0\x00\x00",
    ),
    (
        "return cmsgpack.pack(-1, 255, 65536, 2 ^ 40, -2 ^ 40, 0.1)",
        bytes.fromhex("ffccffce00010000cf0000010000000000d3ffffff0000000000cb3fb999999999999a"),
    ),
    ("return {cmsgpack.unpack(cmsgpack.pack(1, 'two', {3}))}", [1, b"two", [3]]),
    ("return {cmsgpack.unpack_one(cmsgpack.pack(1, 2))}", [1, 1]),
    ("return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2, 1)}", [-1, 2, 3]),
    (
        "return cmsgpack.pack()",
        ReplyError("bad argument #0 to 'pack' (MessagePack pack needs input.)"),
    ),
    ("return cmsgpack.unpack('\\193')", ReplyError("Bad data format in input.")),
    ("return cmsgpack.unpack('\\162a')", ReplyError("Missing bytes in input.")),
    (
        "return struct.pack('>I2<I2bBhHlLi3', 1, 1, -1, 255, -2, 2, -3, 3, 4)",
        bytes.fromhex("0001 0100 ff ff feff 0200 fdffffffffffffff 0300000000000000 040000"),
    ),
    ("return struct.pack('>fd', 1.5, -2.25)", b"?\xc0\x00\x00\xc0\x02\x00\x00\x00\x00\x00\x00"),
    ("return struct.pack('!4bi', 1, 2)", b"\x01\x00\x00\x00\x02\x00\x00\x00"),
    ("return struct.pack('sc3', 'ab', 'cdef')", b"ab\x00cde"),
    ("return {struct.unpack('>I2h', '\\1\\2\\255\\255')}", [258, -1, 5]),
    ("return {struct.unpack('Bc0', '\\3abcd')}", [b"abc", 5]),
    ("return {struct.unpack('s', 'ab\\0cd', 2)}", [b"b", 4]),
    ("return struct.size('!8bd')", 16),
    (
        "return struct.size('s')",
        ReplyError("bad argument #1 to 'size' (option 's' has no fixed size)"),
    ),
    (
        "return struct.pack('z', 1)",
        ReplyError("bad argument #1 to 'pack' (invalid format option 'z')"),
    ),
    ("return struct.pack('i33', 1)", ReplyError("integral size 33 is larger than limit of 32")),
    (
        "return struct.unpack('i', 'abc')",
        ReplyError("bad argument #2 to 'unpack' (data string too short)"),
    ),
    ("return redis.sha1hex('')", b"da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ("return redis.REDIS_VERSION_NUM > 0x060000", 1),
    (
        "return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING}",
        [0, 1, 2, 3],
    ),
    (
        (
            "return {redis.REPL_NONE, redis.REPL_AOF, redis.REPL_SLAVE, redis.REPL_REPLICA, "
            "redis.REPL_ALL}"
        ),
        [0, 1, 2, 2, 3],
    ),
    ("return redis.replicate_commands()", 1),
    ("return redis.set_repl(redis.REPL_NONE)", None),
    ("return redis.breakpoint()", None),
    ("return redis.acl_check_cmd('GET', 'k')", 1),
    ("math.randomseed(42) return {math.random(1000), math.random(10, 20)}", [745, 13]),
    ("return loadstring('return 1 + 1')()", 2),
    ("return {string.gsub('hello', 'l', 'L')}", [b"heLLo", 2]),
    ("return {('k=v'):match('(%w+)=(%w+)')}", [b"k", b"v"]),
    ("local t = {3, 1, 2} table.sort(t) return t", [1, 2, 3]),
    ("return tostring(0.1)", b"0.1"),
    ("return #string.format('%q', 'a\"b')", 6),
]
