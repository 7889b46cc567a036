"""EVAL: conversions both ways, errors, and scripts that write."""

from __future__ import annotations

from tests.differential.grammar import (
    ANY_KEY,
    INTEGER,
    TEXT,
    Fragment,
    Group,
    many,
    seq,
    word,
)

RETURNS = word(
    "return 1", "return 3.99", "return -3.99", "return 'text'", "return true", "return false",
    "return nil", "return {1,2,3}", "return {1,nil,3}", "return {}",
    "return {1,{2,'x'},false,true}",
    "return {ok='FINE'}", "return {err='BAD thing'}", "return {err='bad'}", "return",
    "return {double=3.5}", "return {map={a=1}}", "return {set={a=true}}",
    "redis.setresp(3) return {double=3.5}", "redis.setresp(3) return {map={a=1}}",
    "redis.setresp(3) return {set={a=true}}", "return 9007199254740993", "return 1e400",
    "return redis.status_reply('OK')", "return redis.error_reply('My Err')",
    "return redis.error_reply('ERR mine')", "return redis.sha1hex('a')", "return #KEYS + #ARGV",
    "return KEYS", "return ARGV", "return tostring(1.5)", "return type(redis.call)",
    "return tonumber('0x10')", "return string.format('%s %d', 'a', 5)", "return {KEYS[1], ARGV[1]}",
    "return cjson.encode({1,2,3})", "return cjson.decode('{\"a\":[1,2]}').a[2]",
    "return cjson.encode({a=cjson.null})", "return bit.band(7, 3)", "return bit.tohex(255)",
    "return table.concat({'a','b'}, ',')", "return math.floor(3.7)", "return select('#', 1, 2, 3)",
    "return string.rep('x', 3)", "local t = {} t[1] = 'a' t[3] = 'c' return t",
    "return type(redis.REDIS_VERSION_NUM)", "return redis.LOG_WARNING",
)  # fmt: skip
FAULTS = word(
    "return x", "x = 1", "return redis.call()", "return redis.call('NOPE')",
    "return redis.call('GET')", "return redis.pcall('GET')", "return redis.pcall('NOPE').err",
    "error('boom')", "error({err='boom'})", "error({err='MY boom'})", "return (1",
    "local a = nil + 1",
    "return redis.call('MULTI')", "return redis.call('SUBSCRIBE', 'a')",
    "return redis.call('EVAL', 1)",
    "return redis.call({})", "return redis.call('SET', 'a', {})", "return redis.setresp(4)",
    "return redis.nothing", "return pcall(redis.call, 'NOPE')", "redis.log('x')",
    "return redis.error_reply()", "return redis.status_reply(1)", "return redis.sha1hex()",
    "return cjson.decode('{')", "return string.dump(print)", "return os.time()", "return io",
    "return loadstring('return 5')()", "return setmetatable(_G, {})", "return rawset(_G, 'a', 1)",
    "return redis.call('LPUSH', 's0', 1)", "return redis.pcall('LPUSH', 's0', 1)",
    "local r = redis.pcall('INCR', 'l0') return r['err']", "return {redis.pcall('INCR', 'l0'), 5}",
)  # fmt: skip
ON_A_KEY = word(
    "return redis.call('GET', KEYS[1])", "return redis.call('TYPE', KEYS[1])",
    "return redis.call('TYPE', KEYS[1]).ok", "return redis.call('SET', KEYS[1], ARGV[1])",
    "return redis.call('SET', KEYS[1], ARGV[1], 'NX')",
    "return redis.call('INCRBY', KEYS[1], ARGV[1])",
    "return redis.pcall('INCRBY', KEYS[1], ARGV[1])", "return redis.call('LRANGE', KEYS[1], 0, -1)",
    "return redis.call('HGETALL', 'h1')", "redis.setresp(3) return redis.call('HGETALL', 'h1')",
    "return redis.call('ZSCORE', 'z0', 'a')",
    "redis.setresp(3) return redis.call('ZSCORE', 'z0', 'a')",
    "redis.setresp(3) return redis.call('SMEMBERS', 't0')",
    "return redis.call('SISMEMBER', 't0', '1')",
    "return redis.call('EXISTS', KEYS[1]) == 1", "return redis.call('DEL', KEYS[1])",
    "return redis.call('RPUSH', KEYS[1], ARGV[1], ARGV[2])", "return redis.call('LPOP', KEYS[1])",
    "return type(redis.call('GET', 'none'))", "return redis.call('GET', KEYS[1]) == false",
    "redis.setresp(3) return redis.call('GET', 'none') == nil",
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
    "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('NOPE')", "return redis.call('PING')",
    "return redis.call('SELECT', '1')", "return redis.call('INCRBYFLOAT', 's1', 0.1)",
    "return redis.call('INCRBYFLOAT', 's1', ARGV[1])", "return redis.call('SET', 's2', 10.5)",
    "return redis.call('SET', 's2', 1e15)", "return redis.call('SET', 's2', 1e17)",
    "return tostring(redis.call('ZADD', 'z0', 'INCR', 1.5, 'a'))",
    "#!lua\nreturn 1", "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 'x')",
    "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])", "#!lua flags=nope\nreturn 1",
    "#!lua name=x\nreturn 1", "#!js\nreturn 1", "#!lua flags=allow-oom,allow-stale\nreturn 2",
)  # fmt: skip
KEYS_AND_ARGV = seq("1", ANY_KEY, INTEGER, TEXT)
NUMKEYS = word("0", "0", "0", "1", "-1", "5", "x")
# sha1 of "return 1"
SHA = word(
    "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB",
    "ffffffffffffffffffffffffffffffffffffffff", "abc", "",
)  # fmt: skip


def _call(name: str, script: Fragment) -> Fragment:
    return seq(name, script, KEYS_AND_ARGV)


COMMANDS = [
    _call("EVAL", RETURNS),
    _call("EVAL", FAULTS),
    _call("EVAL", ON_A_KEY),
    _call("EVAL", ON_A_KEY),
    _call("EVAL_RO", ON_A_KEY),
    seq("EVAL", RETURNS, NUMKEYS, many(TEXT, low=0)),
    seq("SCRIPT LOAD", RETURNS),
    seq("SCRIPT LOAD", word("return 1", "return (", "return x")),
    seq("SCRIPT EXISTS", many(SHA)),
    seq("SCRIPT FLUSH", word("ASYNC", "SYNC", "sync", "NOW")),
    seq("SCRIPT", word("NOPE", "KILL")),
    seq("EVALSHA", SHA, NUMKEYS, many(TEXT, low=0)),
    seq("EVALSHA_RO", SHA, "0"),
]

EXTRA = (
    seq("GET", ANY_KEY),
    seq("SET", ANY_KEY, TEXT),
    seq("DEL", ANY_KEY),
)

GROUP = Group("scripting", COMMANDS, EXTRA)
