"""Scripts that try to leave the sandbox, to poison it, or to run away, for `test_scripting`."""

from __future__ import annotations

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
    "dumping a function": "return string.dump(function() end)",
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
}  # fmt: skip
