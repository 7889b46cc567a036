-- The world that a script sees, and the functions with which the host drives it.
--
-- The chunk is called once, with the host's functions in a table. It builds a new table of globals
-- from names that are allowed, empties the real one, and returns the driver. Scripts share the
-- tables of libraries, so each stands behind a proxy without fields of its own, which refuses
-- writes; `real_of` leads from a proxy to what it stands for and never leaves this file.
--
-- redis.call and its kin are C functions (python.as_function), not Lua functions around one: a
-- tail call of those would take the script's own frame away, and the error its line number. What
-- they raise is a userdata; each place in which a script could catch one replaces it (`caught`).

local host = ...
local as_function = python.as_function
local assert, error, getmetatable, ipairs, loadstring, next, pcall, rawget, rawset, select, setfenv,
    setmetatable, tonumber, tostring, type, unpack, xpcall, collectgarbage, gcinfo, newproxy =
    assert, error, getmetatable, ipairs, loadstring, next, pcall, rawget, rawset, select, setfenv,
    setmetatable, tonumber, tostring, type, unpack, xpcall, collectgarbage, gcinfo, newproxy
local getinfo, sethook, metatable_of = debug.getinfo, debug.sethook, debug.getmetatable
local clock = os.clock
local math, string, table = math, string, table
local concat, floor, format, gsub = table.concat, math.floor, string.format, string.gsub
local find = string.find
local co = coroutine

-- Instructions between two looks at the clock: few once much memory is in use, since one
-- instruction can then copy a large string.
local HOOK_COUNT, HOOK_COUNT_LARGE = 200, 20
local LARGE_KILOBYTES = 32 * 1024
-- Elements above which a function of the table library is not a matter of one instruction.
local LONG_TABLE = 5000
local LONG_TEXT = 100000
-- Values that Lua's stack takes from C at once.
local UNPACK_MAX = 8000
-- Arguments up to which a C function of lupa's takes them one by one.
local DIRECT_MAX = 32
-- What errors call the code of clients: user_script or user_function.
local PLACE = host.place
local SOURCE = "@" .. PLACE
local READONLY = "Attempt to modify a readonly table"

-- Protected tables

local real_of = setmetatable({}, { __mode = "k" })

local function refuse_write()
    error(READONLY, 2)
end

local function protect(real, metatable_shown)
    local proxy = {}
    real_of[proxy] = real
    return setmetatable(proxy, {
        __index = real,
        __newindex = refuse_write,
        __metatable = metatable_shown or false,
    })
end

local function writable(t)
    if t ~= nil and real_of[t] then
        error(READONLY, 0)
    end
    return t
end

-- Time

-- `seconds_left` is what a script may take that has just begun: its deadline is set at the first
-- look at the clock, which most scripts end before.
local deadline, seconds_left = math.huge, nil
local stopped
local watching_closely = false
local watch

function watch()
    if seconds_left then
        deadline, seconds_left = clock() + seconds_left, nil
    end
    if clock() < deadline then
        local large = gcinfo() > LARGE_KILOBYTES
        if large ~= watching_closely then
            watching_closely = large
            sethook(watch, "", large and HOOK_COUNT_LARGE or HOOK_COUNT)
        end
        return
    end
    if not stopped then
        local message, seconds = host.overdue()
        if not message then
            deadline = clock() + seconds
            return
        end
        stopped = message
    end
    -- A script that catches the error gets it again at its next instruction.
    sethook(watch, "", 1)
    error({ err = stopped }, 0)
end

-- Errors

local take_error = host.take_error
-- The one userdata that scripts own.
local null = newproxy()

local function replaced(err)
    if type(err) ~= "userdata" or err == null then
        return err
    end
    local message, counted = take_error()
    if not message then
        return "not enough memory"
    end
    return { err = message, ignore_error_stats_update = counted or nil }
end

-- An error that one of our wrappers raised names a line of this file; `place` is the script's.
local function relocated(err, place)
    if type(err) == "string" then
        return (gsub(err, "^sandbox:%d+: ", place))
    end
    return err
end

local function caught(ok, ...)
    if ok then
        return true, ...
    end
    return false, relocated(replaced((...)), "")
end

-- Redis's pcall gives the text of an error that is a table.
local function caught_text(ok, ...)
    if ok then
        return true, ...
    end
    local err = relocated(replaced((...)), "")
    if type(err) == "table" then
        local text = err.err
        if type(text) == "string" or type(text) == "number" then
            return false, text
        end
    end
    return false, err
end

local function handled(handler, ok, ...)
    if ok then
        return true, ...
    end
    return false, handler(relocated(replaced((...)), ""))
end

local function disarm()
    deadline, seconds_left = math.huge, nil
    if watching_closely or stopped then
        watching_closely = false
        sethook(watch, "", HOOK_COUNT)
    end
end

-- The line of an error whose frame a tail call has taken.
local tail_line = 1

local function located(err)
    disarm()
    local level = 2
    local info = getinfo(level, "Sl")
    while info and info.source ~= SOURCE do
        level = level + 1
        info = getinfo(level, "Sl")
    end
    local line = info and info.currentline or tail_line
    err = relocated(replaced(err), PLACE .. ":" .. line .. ": ")
    if type(err) ~= "table" then
        err = { err = "ERR " .. tostring(err) }
    elseif real_of[err] then
        err = { err = "ERR " .. READONLY }
    end
    rawset(err, "source", SOURCE)
    rawset(err, "line", line)
    return err
end

-- The allowed globals

local environment = {}
local globals = protect(environment, protect({}))
setmetatable(environment, {
    __index = function(_, name)
        name = tostring(name)
        error("Script attempted to access nonexistent global variable '" .. name .. "'", 2)
    end,
})

local function load_text(text, name)
    if text:byte(1) == 27 then
        return nil, (name or "?") .. ": precompiled code is refused"
    end
    local chunk, message = loadstring(text, name or text)
    if not chunk then
        return nil, message
    end
    return setfenv(chunk, globals)
end

local function bad_argument(position, name, expected, got)
    error(format("bad argument #%d to '%s' (%s expected, got %s)", position, name, expected, got))
end

local function type_name(value, count, position)
    return count < position and "no value" or type(value)
end

environment._G = globals
environment._VERSION = _VERSION
for _, name in ipairs({
    "assert", "error", "gcinfo", "getmetatable", "ipairs", "rawequal", "select", "tonumber",
    "tostring", "type",
}) do
    environment[name] = _G[name]
end

function environment.pcall(...)
    return caught_text(pcall(...))
end

function environment.unpack(t, first, last)
    -- Lua 5.1 counts in a C int, which wraps, and then writes where it should not.
    local from = tonumber(first == nil and 1 or first)
    local to = tonumber(last == nil and type(t) == "table" and #t or last)
    if from and to and (from ~= from or to ~= to or to - from >= UNPACK_MAX) then
        error("too many results to unpack")
    elseif from and to and (from < -(2 ^ 31) or to >= 2 ^ 31 - 1) then
        error("too many results to unpack")
    elseif last == nil and first == nil then
        -- Arguments take room from the results: 7999 of them fit beside the table alone.
        return unpack(t)
    end
    return unpack(t, first, last)
end

function environment.xpcall(f, handler)
    -- By way of pcall: the handler of a real xpcall runs with hooks off, out of reach of `watch`.
    return handled(handler, pcall(f))
end

function environment.loadstring(...)
    local text, name = ...
    if type(text) == "number" then
        text = tostring(text)
    end
    if type(text) ~= "string" then
        bad_argument(1, "loadstring", "string", type_name(text, select("#", ...), 1))
    end
    return load_text(text, name)
end

function environment.load(...)
    local reader, name = ...
    if type(reader) ~= "function" then
        bad_argument(1, "load", "function", type_name(reader, select("#", ...), 1))
    end
    local pieces = {}
    repeat
        local piece = reader()
        if piece ~= nil and type(piece) ~= "string" then
            return nil, "reader function must return a string"
        end
        pieces[#pieces + 1] = piece
    until piece == nil or piece == ""
    return load_text(concat(pieces), name or "=(load)")
end

function environment.next(t, key)
    return next(real_of[t] or t, key)
end

function environment.pairs(...)
    local t = ...
    if type(t) ~= "table" then
        bad_argument(1, "pairs", "table", type_name(t, select("#", ...), 1))
    end
    return environment.next, t, nil
end

function environment.rawget(t, key)
    return rawget(real_of[t] or t, key)
end

function environment.rawset(t, key, value)
    return rawset(writable(t), key, value)
end

function environment.setmetatable(t, metatable)
    return setmetatable(writable(t), metatable)
end

-- Options that would change how the collector works for the scripts to come.
local TUNING = { stop = true, restart = true, setpause = true, setstepmul = true }

function environment.collectgarbage(option, argument)
    option = option or "collect"
    if TUNING[option] then
        return 0
    end
    watch()
    return collectgarbage(option, argument)
end

local function library(source, names)
    local copy = {}
    for name in names:gmatch("%S+") do
        copy[name] = source[name]
    end
    return copy
end

local strings = library(
    string,
    "byte char find format gmatch gfind gsub len lower match rep reverse sub upper"
)
local tables = library(table, "concat foreach foreachi getn insert maxn remove setn sort")
local maths = library(
    math,
    "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min "
        .. "mod modf pi pow rad random randomseed sin sinh sqrt tan tanh"
)
local coroutines = library(co, "running status yield")

-- What nothing here would load: the beginning of a precompiled chunk.
function strings.dump(f)
    if type(f) ~= "function" or getinfo(f, "S").what == "C" then
        error("unable to dump given function")
    end
    return "\27Lua"
end

local rep = string.rep

function strings.rep(...)
    -- A loop without instructions, so the hook would not see it.
    if (...) == "" then
        return ""
    end
    local text = rep(...)
    if #text > LONG_TEXT then
        watch()
    end
    return text
end

function coroutines.create(f)
    local thread = co.create(f)
    sethook(thread, watch, "", HOOK_COUNT_LARGE)
    return thread
end

function coroutines.resume(...)
    return caught(co.resume(...))
end

local function finish(ok, ...)
    if ok then
        return ...
    end
    local err = replaced((...))
    error(err, type(err) == "string" and 3 or 0)
end

function coroutines.wrap(f)
    local thread = coroutines.create(f)
    return function(...)
        return finish(co.resume(thread, ...))
    end
end

local insert, remove, sort = table.insert, table.remove, table.sort

-- Work in C that grows with the table: look at the clock first.
local function watched(t)
    if type(t) == "table" and #t > LONG_TABLE then
        watch()
        return true
    end
end

function tables.insert(...)
    local t = ...
    if t ~= nil and real_of[t] then
        error(READONLY, 0)
    end
    if select("#", ...) > 2 then
        local place = tonumber((select(2, ...)))
        if place and not (place > -LONG_TABLE and place < 2 ^ 31) then
            error("bad argument #2 to 'insert' (position out of bounds)", 2)
        end
        watched(t)
    end
    return insert(...)
end

function tables.remove(...)
    if select("#", ...) > 1 then
        watched((...))
    end
    return remove(...)
end

function tables.concat(...)
    watched((...))
    return concat(...)
end

local function less(a, b)
    return a < b
end

function tables.sort(...)
    local t, comparator = ...
    -- Quadratic at its worst; with a comparator in Lua it passes the hook.
    if comparator == nil and watched(t) then
        return sort(t, less)
    end
    return sort(...)
end

-- Redis's own generator (drand48) with its first state; scripts draw one sequence between them.

local seed_high, seed_low = 0x1234AB, 0xCD330E

function maths.randomseed(seed)
    seed = floor(seed) % 2 ^ 32
    seed_high = floor(seed / 256)
    seed_low = seed % 256 * 65536 + 0x330E
end

local function draw()
    -- x * 0x5DEECE66D + 0xB modulo 2^48, in halves that a double multiplies exactly.
    local low = seed_low * 0xECE66D + 0xB
    local high = seed_high * 0xECE66D + seed_low * 0x5DE + floor(low / 2 ^ 24)
    seed_high, seed_low = high % 2 ^ 24, low % 2 ^ 24
    return seed_high * 128 + floor(seed_low / 2 ^ 17)
end

local function whole(value, position)
    local number = tonumber(value)
    if not number then
        bad_argument(position, "random", "number", value == nil and "no value" or type(value))
    end
    return number < 0 and math.ceil(number) or floor(number)
end

function maths.random(...)
    local fraction = draw() % 2147483647 / 2147483647
    local count = select("#", ...)
    if count == 0 then
        return fraction
    elseif count > 2 then
        error("wrong number of arguments")
    end
    local first, last = ...
    local low, high = 1, whole(first, 1)
    if count == 2 then
        low, high = high, whole(last, 2)
    end
    if low > high then
        error(format("bad argument #%d to 'random' (interval is empty)", count))
    end
    return floor(fraction * (high - low + 1)) + low
end

environment.string = protect(strings)
environment.table = protect(tables)
environment.math = protect(maths)
environment.coroutine = protect(coroutines)

getmetatable("").__index = environment.string
getmetatable("").__metatable = protect({ __index = environment.string })

local redis = {}
for name, value in next, host.redis do
    redis[name] = type(value) == "userdata" and as_function(value) or value
end
environment.redis = protect(redis)

-- A C function of lupa's cannot take the last few of the arguments that Lua's stack can carry, and
-- takes several microseconds for each. For texts that say "unpack" there are functions in Lua
-- around redis.call and its kin, which pass many as one text and their sizes. The line of an error
-- in a tail call of theirs is lost: `tail_line` stands in.
local wide, wide_now = {}, false
for name, whole in next, host.wide do
    local narrow = redis[name]
    whole = as_function(whole)
    wide[name] = function(...)
        local count = select("#", ...)
        if count <= DIRECT_MAX then
            return narrow(...)
        end
        local texts, sizes = { ... }, {}
        for index = 1, count do
            local value = texts[index]
            if type(value) == "number" then
                value = format("%.17g", value)
                texts[index] = value
            elseif type(value) ~= "string" then
                -- For its error.
                return narrow(value)
            end
            sizes[index] = #value
        end
        return whole(concat(texts), concat(sizes, " "))
    end
end

local function widen(wanted)
    if wanted ~= wide_now then
        wide_now = wanted
        for name, other in next, wide do
            redis[name], wide[name] = other, redis[name]
        end
    end
end

local driver, trusted = { null = null }, {}

-- The table that a chunk of ours makes, which may use what scripts may not.
local function trusted_table(text, ...)
    return setfenv(assert(loadstring(text, "=sandbox")), trusted)(...)
end

-- Gives scripts the library that the chunk makes.
function driver.library(name, text, ...)
    environment[name] = protect(trusted_table(text, ...))
end

-- Takes the functions on patterns from the chunk.
function driver.patterns(text)
    for name, value in next, trusted_table(text) do
        strings[name] = value
    end
end

-- What a script returned, as values that the host can take (see results.lua).
local outgoing

function driver.results(text)
    outgoing = trusted_table(text)
end

local function outcome(ok, value)
    disarm()
    environment.KEYS, environment.ARGV = nil, nil
    if ok then
        return outgoing(value)
    end
    if type(value) ~= "table" then
        return "failure", tostring(value)
    end
    local message = rawget(value, "err")
    if type(message) ~= "string" and type(message) ~= "number" then
        message = "ERR unknown error"
    end
    return "error", tostring(message), rawget(value, "line"),
        rawget(value, "ignore_error_stats_update") and true or false
end

-- By chunk that says "unpack": where it returns what redis.call gives.
local tail_lines = setmetatable({}, { __mode = "k" })

local function note(chunk, text)
    if find(text, "unpack", 1, true) then
        local at = find(text, "return%s+redis%.p?call") or 1
        local _, lines = gsub(text:sub(1, at), "\n", "")
        tail_lines[chunk] = lines + 1
    end
end

local function begin(keys, arguments, seconds)
    environment.KEYS, environment.ARGV = keys, arguments
    stopped = nil
    seconds_left = seconds
end

local function choose(chunk)
    local line = tail_lines[chunk]
    tail_line = line or 1
    widen(line ~= nil)
end

-- The chunk, or nil and the compiler's message.
function driver.compile(text)
    if text:byte(1) == 27 then
        return nil, PLACE .. ": precompiled code is refused"
    end
    local chunk, message = loadstring(text, SOURCE)
    if not chunk then
        return nil, message
    end
    note(chunk, text)
    return setfenv(chunk, globals)
end

-- Runs `chunk` for at most `seconds`; the first `key_count` of the other arguments are KEYS.
function driver.run(chunk, seconds, key_count, ...)
    local keys, arguments
    if key_count == 0 then
        keys, arguments = {}, { ... }
    else
        keys, arguments = {}, {}
        local all = { ... }
        for index = 1, key_count do
            keys[index] = all[index]
        end
        for index = key_count + 1, #all do
            arguments[index - key_count] = all[index]
        end
    end
    begin(keys, arguments, seconds)
    choose(chunk)
    return outcome(xpcall(chunk, located))
end

-- As `run`, with KEYS and ARGV in tables: for more arguments than a call can carry.
function driver.run_tables(chunk, seconds, keys, arguments)
    begin(keys, arguments, seconds)
    choose(chunk)
    return outcome(xpcall(chunk, located))
end

-- Makes this a state for libraries of functions, with what the chunk returns (see functions.lua).
function driver.functions(text)
    local loading = trusted_table(text, protect, redis)
    local metatable = metatable_of(globals)

    -- Runs a library's chunk; the table of what it registered, or as `outcome` for an error.
    function driver.load(chunk, seconds)
        -- For good: what a library says, its functions say.
        widen(wide_now or tail_lines[chunk] ~= nil)
        loading.registered = {}
        metatable.__index = loading.environment
        begin(nil, nil, seconds)
        local ok, err = xpcall(chunk, located)
        metatable.__index = environment
        disarm()
        local registered = loading.registered
        loading.registered = nil
        if ok then
            return registered
        end
        return outcome(false, err)
    end

    -- As `run_tables`, for a function that a library registered.
    function driver.call(callback, seconds, keys, arguments)
        begin(nil, nil, seconds)
        return outcome(xpcall(function()
            return callback(keys, arguments)
        end, located))
    end
end

function driver.collect()
    collectgarbage("collect")
end

-- Nothing of the real globals stays reachable, even to whoever should get out of the sandbox.
for name in next, package.loaded do
    package.loaded[name] = nil
end
local outer = _G
for name in next, outer do
    trusted[name], outer[name] = outer[name], nil
end
for name in ("debug dofile io loadfile os package python require"):gmatch("%a+") do
    trusted[name] = nil
end
sethook(watch, "", HOOK_COUNT)
return driver
