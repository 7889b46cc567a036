"""Scripts that try to leave the sandbox, to poison it, or to run away, for `test_scripting`."""

from __future__ import annotations

from typing import Any

# Names that are not there; each must be refused as a nonexistent global.
ABSENT = [
    "print", "io", "os", "package", "debug", "python", "require", "module", "dofile", "loadfile",
    "getfenv", "setfenv", "newproxy", "_PYTHON", "lupa", "jit", "arg", "__index",
]  # fmt: skip

# Attempts to reach something, or to change what later scripts see: each must fail with an error.
REFUSED = {
    "bytecode by loadstring": "return loadstring('\27Lua')()",
    "bytecode by load": (
        "local once = true "
        "return load(function() if once then once = nil return '\\27LuaQ' end end)()"
    ),
    "loading a dumped function": "return loadstring(string.dump(function() end))()",
    "dumping a function of the host": "return string.dump(redis.call)",
    "dumping through a method": "return ('').dump(redis.call)",
    "attributes of a host function": "return redis.call.__globals__",
    "items of a host function": "return redis.call['__class__']",
    "a field of a host function": "local call = redis.call call.x = 1",
    "walking a host function": "for k in pairs(redis.call) do end",
    "a global": "x = 1",
    "a global by loaded text": "loadstring('x = 1')()",
    "a global in a coroutine": "coroutine.wrap(function() x = 1 end)()",
    "a global by rawset": "rawset(_G, 'x', 1)",
    "a global through _G": "_G.x = 1",
    "absent globals of loaded text": "return loadstring('return python')()",
    "a table of globals by metatable": "return setmetatable({}, {__index = _G}).debug",
    "a library's function": "string.rep = nil",
    "a library's function by rawset": "rawset(string, 'rep', nil)",
    "a library": "_G['string'] = nil",
    "a library by table.insert": "table.insert(string, 1)",
    "the metatable of the globals": "setmetatable(_G, nil)",
    "the metatable of a library": "setmetatable(redis, {})",
    "the metatable of strings": "getmetatable('').__index = nil",
    "the metatable of strings by rawset": "rawset(getmetatable(''), '__index', nil)",
    "functions of strings": "getmetatable('').__index.rep = nil",
    "a metatable for the metatable of strings": "setmetatable(getmetatable(''), {})",
    "the metatable of a library's proxy": "getmetatable(redis).__index = {}",
    "redis.call": "redis.call = nil",
    "cjson": "cjson.encode = nil",
    "an iterator that hands out the library": (
        "local step, t = pairs(string) t.rep = nil"
    ),
    "yielding out of a script": "coroutine.yield()",
    "too many results": "return unpack({}, 1, 2^31 - 1)",
    "results whose number overflows": "return unpack({}, -2^31, 2^31 - 1)",
    "results from far away": "return unpack({}, 2^32, 2^32 + 1)",
    "endless recursion": "local function f() return f() + 1 end return f()",
    "recursion through C": "local function f() return (('x'):gsub('.', f)) end return f()",
    "recursion through coroutines": "local function f() coroutine.wrap(f)() end f()",
    "recursion through metamethods": (
        "local t = {} for i = 1, 1e5 do t = setmetatable({}, {__index = t}) end return t.x"
    ),
    "one large string": "return ('x'):rep(2^30)",
    "a string that doubles": "local s = 'x' while true do s = s .. s end",
    "a large concatenation": (
        "local t = {} for i = 1, 1e5 do t[i] = ('x'):rep(1000) end return table.concat(t, t[1])"
    ),
    "more than Lua may hold, kept": (
        "local t, size = {}, 2^22 while size > 1 do "
        "if not pcall(function() t[#t + 1] = ('x'):rep(size) .. #t end) then size = size / 2 end "
        "end return redis.call('GET', 'large')"
    ),
    "captures without end": "return ('x'):rep(1e6):find(('('):rep(1e5))",
    "an inconsistent order": (
        "local t = {} for i = 1, 1000 do t[i] = i % 7 end table.sort(t, function() return true end)"
    ),
    "MessagePack that announces too much": "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
    "MessagePack nested without end": "return cmsgpack.unpack(('\\145'):rep(1e6))",
    "JSON nested without end": "return cjson.decode(('['):rep(1e5))",
    "an alignment beyond reason": "return struct.pack('!1000000000i', 1)",
    "text nested without end": "return assert(loadstring(('('):rep(1e6)))",
    "a global by a named function": "function x() end",
    "a global by pieces of text": (
        "local s, i = {'x ', '= ', '1'}, 0 load(function() i = i + 1 return s[i] end)()"
    ),
    "a global by text from a coroutine": (
        "load(coroutine.wrap(function() coroutine.yield('x = 1') end))()"
    ),
    "a global through a table's __newindex": "setmetatable({}, {__newindex = _G}).x = 1",
    "the guard of globals": "getmetatable(_G).__newindex = nil",
    "the guard of globals by rawset": "rawset(getmetatable(_G), '__index', nil)",
    "globals by a replacement's lookup": "return ('x'):gsub('x', _G)",
    "other KEYS": "KEYS = {}",
    "the functions of redis while walking them": (
        "for name in pairs(redis) do redis[name] = nil end"
    ),
    "a table that is its own index": "local t = {} setmetatable(t, {__index = t}) return t.x",
    "a table that takes its own writes": "local t = {} setmetatable(t, {__newindex = t}) t.x = 1",
    "a metatable for null": "setmetatable(cjson.null, {})",
    "a field of null": "return cjson.null.x",
    "the class of a caught error": (
        "local _, e = pcall(redis.call, 'NOPE') return e.__class__.__base__"
    ),
    "the class of an error in its handler": (
        "local ok, e = xpcall(function() redis.call('NOPE') end, function(e) return e end) "
        "return e.__class__.__mro__"
    ),
    "the registry by way of strings": "return getmetatable('').__index.debug.getregistry()",
    "the environment of loaded text": "return loadstring('return setfenv')()(1, {})",
    "the table behind _G by its metatable": (
        "return loadstring('return getmetatable(_G).__index')().io.open"
    ),
    "a width beyond a buffer": "return ('%99999999d'):format(1)",
    "an address": "return ('%p'):format(_G)",
    "a write through a format": "return ('%n'):format(1)",
    "a character that is none": "return string.char(256)",
    "more characters than a stack holds": "return ('x'):rep(1e7):byte(1, -1)",
    "a table deeper than JSON": (
        "local t = {} for i = 1, 5000 do t = {t} end return cjson.encode(t)"
    ),
    "JSON of a table in itself": "local t = {} t.t = t return cjson.encode(t)",
    "JSON of an array with a far end": "return cjson.encode({[2^30] = 1})",
    "JSON of a host function": "return cjson.encode({redis.call})",
    "an integer wider than memory": "return struct.pack('i2147483648', 1)",
    "a structure beyond its data": "return struct.unpack('c2147483647', 'x')",
    "a structure before its data": "return struct.unpack('i', 'xxxx', -2^31)",
    "MessagePack before its data": "return cmsgpack.unpack_limit('\\1\\2\\3', -5)",
    "MessagePack of another type": "return cmsgpack.unpack('\\199\\255')",
    "replication flags that are none": "redis.set_repl(99)",
    "registering a function from a script": "redis.register_function('f', function() end)",
    "a script in a script": "return redis.call('EVAL', 'x = 1', 0)",
    "a library from a script": "return redis.call('FUNCTION', 'LOAD', '#!lua name=l\\n')",
    "the limit by CONFIG": "return redis.call('CONFIG', 'SET', 'lua-time-limit', 0)",
    "a pause of all clients": "return redis.call('CLIENT', 'PAUSE', 100000)",
    "a sleep in the host": "return redis.call('DEBUG', 'SLEEP', 100)",
    "a connection that turns into a log": "return redis.call('MONITOR')",
    "a subscription": "return redis.call('SUBSCRIBE', 'c')",
    "a kill": "return redis.call('SCRIPT', 'KILL')",
    "a function as an argument": "return redis.call('SET', 'k', function() end)",
    "text made by a metamethod as an argument": (
        "return redis.call('SET', 'k', setmetatable({}, {__tostring = function() return 'x' "
        "end}))"
    ),
    "a coroutine that resumes itself": (
        "return coroutine.wrap(function() local co = coroutine.running() "
        "assert(coroutine.resume(co)) end)()"
    ),
    "an error that cannot be printed": (
        "error(setmetatable({}, {__tostring = function() error('again') end}))"
    ),
    "an error whose text never ends": (
        "error({err = setmetatable({}, {__tostring = function() while true do end end})})"
    ),
    "an error whose fields never end": (
        "error(setmetatable({}, {__index = function() while true do end end}))"
    ),
    "a library thrown as an error": "error(redis)",
    "the host function as an error": "error(redis.call)",
    "the metatable of strings as an error": "error(getmetatable(''))",
    "a function with too many upvalues": (
        "local s = 'local a0 ' for i = 1, 300 do s = s .. 'local function f' .. i .. '() "
        "return a0 end ' end return assert(loadstring(s))()"
    ),
    "more locals than registers": "return assert(loadstring(('local a '):rep(300)))()",
    "an insertion before any place": "table.insert({}, -2^31, 1)",
    "an insertion at no number": "table.insert({}, 0 / 0, 1)",
    "an insertion that wraps around": "table.insert({}, 2 ^ 31, 1)",
    "a comparison of what has no order": "table.sort({1, 'a', {}})",
}  # fmt: skip

# Scripts that never end, or not before the machine does: each must be stopped by the time limit.
RUNAWAYS = {
    "a loop": "while true do end",
    "a loop that catches errors": "while true do pcall(function() while true do end end) end",
    "a loop in an error handler": (
        "local function spin() while true do end end while true do xpcall(spin, spin) end"
    ),
    "a loop in a coroutine": "coroutine.wrap(function() while true do end end)()",
    "loops in ever new coroutines": (
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end"
    ),
    "a loop in a coroutine that catches": (
        "coroutine.wrap(function() while true do "
        "pcall(function() while true do end end) end end)()"
    ),
    "a loop in a metamethod": (
        "return tostring(setmetatable({}, {__tostring = function() while true do end end}))"
    ),
    "a loop in a comparison": (
        "local t = {3, 2, 1} table.sort(t, function() while true do end end)"
    ),
    "a loop in a replacement": "return ('x'):gsub('.', function() while true do end end)",
    "text without end": "load(function() return ' ' end)",
    "catching redis.call without end": "while true do pcall(redis.call, 'NOPE') end",
    "garbage collection without end": "while true do collectgarbage() end",
    "concatenation without end": (
        "local t = {} for i = 1, 1e5 do t[i] = 'x' end while true do table.concat(t) end"
    ),
    "insertion at the front": (
        "local t = {} for i = 1, 1e9 do table.insert(t, 1, 1) end"
    ),
    "sorting without end": (
        "local t = {} for i = 1, 1e5 do t[i] = -i end while true do table.sort(t) end"
    ),
    "a pattern of options": (
        "return ('a'):rep(30):find(('a?'):rep(30) .. ('a'):rep(30) .. 'b')"
    ),
    "a pattern of shortest repetitions": "return ('a'):rep(5000):find(('.-'):rep(20) .. 'b')",
    "a pattern of longest repetitions": "return ('a'):rep(1e5):gsub('a*a*a*b', '')",
    "a pattern in an iterator": "for w in ('a'):rep(1e5):gmatch('a*a*a*b') do end",
    "a pattern as deep as it is long": "return ('a'):rep(3e5):find(('a?'):rep(3e5) .. 'b')",
    "a search that nearly matches": "return ('a'):rep(1e7):find(('a'):rep(5e6) .. 'b', 1, true)",
    "a range without an end": "for i = 1, math.huge do end",
    "tail calls without end": "local function f() return f() end return f()",
    "MessagePack of a table eight times in itself": (
        "local t = {} for i = 1, 8 do t[i] = t end return cmsgpack.pack(t)"
    ),
    "balanced brackets that never balance": "return ('('):rep(1e6):gsub('%b()', '')",
    "references to what was captured": "return ('a'):rep(1e5):find('(.-)%1%1b')",
    "a frontier before each repetition": "return ('ab'):rep(1e5):find('%f[a].-%f[a].-%f[a].-c')",
    "a shortest repetition at each place": "return ('a'):rep(1e5):gsub('a-b', '')",
    "a set as long as the text": "return ('a'):rep(1e5):find('[' .. ('b'):rep(1e5) .. ']')",
    "text in capitals without end": "local s = ('x'):rep(1e7) while true do s:upper() end",
    "quoting without end": "local s = ('\\n'):rep(5e6) while true do ('%q'):format(s) end",
    "hashing without end": "local s = ('x'):rep(1e7) while true do redis.sha1hex(s) end",
    "JSON without end": "local s = '[' .. ('1,'):rep(1e7) .. '1]' return #cjson.decode(s)",
    "escapes of JSON without end": "while true do cjson.encode(('\\1'):rep(1e6)) end",
    "compiling without end": "local s = ('x=1 '):rep(2e5) while true do loadstring(s) end",
    "walking over what was removed": (
        "local t = {} for i = 1, 1e6 do t[i] = 1 end for i = 1, 1e6 do t[i] = nil end while "
        "true do next(t) end"
    ),
    "the largest index without end": (
        "local t = {} for i = 1, 1e6 do t[i] = i end while true do table.maxn(t) end"
    ),
    "equal beginnings to compare": (
        "local s = ('x'):rep(1e5) local t = {} for i = 1, 3000 do t[i] = s .. i end while "
        "true do table.sort(t) end"
    ),
    "an iterator without end": "for w in function() return 1 end do end",
    "a coroutine as an iterator without end": (
        "for v in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end"
    ),
    "metamethods that catch and recurse": (
        "local t t = setmetatable({}, {__index = function(_, k) return pcall(function() "
        "return t[k] end) end}) while true do local x = t.x end"
    ),
    "a concatenation by metamethod": (
        "local t = setmetatable({}, {__concat = function(a, b) while true do end end}) "
        "return t .. 'x'"
    ),
    "an order by metamethod": (
        "local m = {__lt = function() while true do end end} return setmetatable({}, m) < "
        "setmetatable({}, m)"
    ),
    "a call by metamethod": "setmetatable({}, {__call = function() while true do end end})()",
    "errors without end": "while true do pcall(error, {}) end",
    "logging without end": "while true do redis.log(redis.LOG_DEBUG, 'x') end",
}  # fmt: skip

# Scripts that end well and try to leave something for the next one: each with a probe, and what the
# probe must find. A probe runs as a script of its own.
LEFTOVERS: dict[str, tuple[str, str, Any]] = {
    "a global that was refused": ("pcall(rawset, _G, 'x', 1)", "return rawget(_G, 'x')", None),
    "fields of KEYS": (
        "KEYS.x = 1 KEYS[9] = 1",
        "return tostring(KEYS.x) .. tostring(KEYS[9]) .. #KEYS", b"nilnil0",
    ),
    "a metatable for ARGV": (
        "setmetatable(ARGV, {__index = function() return 'left' end})",
        "return ARGV[7]", None,
    ),
    "the protocol": (
        "redis.setresp(3) redis.call('ZADD', 'z', 1.5, 'm')",
        "return type(redis.call('ZSCORE', 'z', 'm'))", b"string",
    ),
    "a collector at rest": (
        "collectgarbage('stop')",
        "for i = 1, 300 do local s = ('x'):rep(1e6) .. i end return 'room'", b"room",
    ),
    "a collector that waits": (
        "collectgarbage('setpause', 1e9)",
        "for i = 1, 300 do local s = ('x'):rep(1e6) .. i end return 'room'", b"room",
    ),
    "a coroutine at rest": (
        "coroutine.resume(coroutine.create(function() coroutine.yield() end))",
        "return type(coroutine.running())", b"nil",
    ),
    "a result that computes itself": (
        "return setmetatable({}, {__index = function() while true do end end})", "return 1", 1
    ),
    "an error text that computes itself": (
        "return {err = setmetatable({}, {__index = function() while true do end end})}",
        "return 1", 1,
    ),
    "a finalizer": (
        "setmetatable({}, {__gc = function() x = 1 end}) collectgarbage()",
        "return rawget(_G, 'x')", None,
    ),
    "a sorted library": ("table.sort(redis) table.sort(string)", "return #('x'):rep(3)", 3),
    "a removed function": ("table.remove(string) table.remove(_G)", "return #('x'):rep(3)", 3),
    "recursion that was caught": ("local function f() return pcall(f) end f()", "return 1", 1),
    "memory that was caught": (
        "pcall(function() local s = 'x' while true do s = s .. s end end)",
        "return #('x'):rep(1e6)", 1_000_000,
    ),
    "a weak table of proxies": (
        "setmetatable({[string] = 1}, {__mode = 'k'}) collectgarbage()",
        "return {pcall(rawset, string, 'x', 1)}",
        [None, b"Attempt to modify a readonly table"],
    ),
}  # fmt: skip
