-- Lua patterns that cannot run away.
--
-- The matcher of Lua 5.1 is C: no hook looks at the clock inside, its backtracking takes time
-- n^quantifiers, and its recursion is bounded by nothing. So each call is priced first. What is
-- cheap at its worst goes to C; the rest to the matcher below, which does the same in Lua, where
-- `lua-time-limit` and Lua's own limit on depth hold.

local byte, find, gmatch, gsub, match, sub = string.byte, string.find, string.gmatch, string.gsub,
    string.match, string.sub

-- Steps that C may take at most, a few nanoseconds each.
local COST_MAX = 1e8
local CAPTURES_MAX = 32
local CACHE_MAX = 200
local SPECIALS = "[%^%$%*%+%?%.%(%[%%%-]"

-- Pricing

local prices, price_count = {}, 0

local function price(pattern)
    local entry = prices[pattern]
    if entry then
        return entry
    end
    local _, repeats = gsub(pattern, "[%*%+%-]", "")
    local _, balances = gsub(pattern, "%%[b%d]", "")
    local _, options = gsub(pattern, "%?", "")
    -- What ends a pattern is never tried twice.
    if find(pattern, "[%*%+%-]%)?$") then
        repeats = repeats - 1
    end
    entry = { power = repeats + balances + 1, factor = 2 ^ options * (#pattern + 1) }
    if price_count >= CACHE_MAX or #pattern > 1000 then
        prices, price_count = {}, 0
    else
        prices[pattern], price_count = entry, price_count + 1
    end
    return entry
end

local function cheap(text, pattern)
    local entry = price(pattern)
    local length = #text < 2 and 2 or #text
    return length ^ entry.power * entry.factor <= COST_MAX
end

-- Parsing: a pattern becomes a list of steps

local function class_end(pattern, at)
    local first = sub(pattern, at, at)
    if first == "%" then
        if at + 1 > #pattern then
            error("malformed pattern (ends with '%')")
        end
        return at + 2
    elseif first ~= "[" then
        return at + 1
    end
    at = at + 1
    if sub(pattern, at, at) == "^" then
        at = at + 1
    end
    repeat
        if at > #pattern then
            error("malformed pattern (missing ']')")
        end
        local char = sub(pattern, at, at)
        at = at + (char == "%" and 2 or 1)
    until sub(pattern, at, at) == "]"
    return at + 1
end

local function parse_escape(pattern, at)
    local letter = sub(pattern, at + 1, at + 1)
    if letter == "b" then
        if at + 3 > #pattern then
            error("unbalanced pattern")
        end
        local open, close = byte(pattern, at + 2, at + 3)
        return { kind = "balance", open = open, close = close }, at + 4
    elseif letter == "f" then
        if sub(pattern, at + 2, at + 2) ~= "[" then
            error("missing '[' after '%f' in pattern")
        end
        local after = class_end(pattern, at + 2)
        return { kind = "frontier", set = "^" .. sub(pattern, at + 2, after - 1) }, after
    elseif find(letter, "%d") then
        return { kind = "back", index = byte(letter) - 48 }, at + 2
    end
end

local function parse(pattern, at)
    local steps = {}
    while at <= #pattern do
        local char = sub(pattern, at, at)
        local step, after
        if char == "(" then
            step, after = { kind = "open" }, at + 1
            if sub(pattern, after, after) == ")" then
                step, after = { kind = "place" }, after + 1
            end
        elseif char == ")" then
            step, after = { kind = "close" }, at + 1
        elseif char == "$" and at == #pattern then
            step, after = { kind = "end" }, at + 1
        elseif char == "%" then
            step, after = parse_escape(pattern, at)
        end
        if not step then
            after = class_end(pattern, at)
            step = { kind = "one", set = "^" .. sub(pattern, at, after - 1) }
            local quantifier = sub(pattern, after, after)
            if find(quantifier, "[%*%+%-%?]") then
                step.kind, after = quantifier, after + 1
            elseif step.set == "^$" or step.set == "^^" then
                step.set = "^%" .. sub(step.set, 2)
            end
        end
        steps[#steps + 1] = step
        at = after
    end
    return steps
end

-- Matching: `state` holds text and captures; each function returns where the match ends, or nil

local function is_one(state, at, step)
    return at <= #state.text and find(sub(state.text, at, at), step.set)
end

local run

local function run_longest(state, at, index, step, least)
    local count = 0
    while is_one(state, at + count, step) do
        count = count + 1
    end
    while count >= least do
        local stop = run(state, at + count, index + 1)
        if stop then
            return stop
        end
        count = count - 1
    end
end

local function run_shortest(state, at, index, step)
    while true do
        local stop = run(state, at, index + 1)
        if stop or not is_one(state, at, step) then
            return stop
        end
        at = at + 1
    end
end

local function run_balance(state, at, step)
    if byte(state.text, at) ~= step.open then
        return nil
    end
    local depth = 1
    for place = at + 1, #state.text do
        local code = byte(state.text, place)
        if code == step.close then
            depth = depth - 1
            if depth == 0 then
                return place + 1
            end
        elseif code == step.open then
            depth = depth + 1
        end
    end
end

local function run_open(state, at, index, is_place)
    if #state.captures >= CAPTURES_MAX then
        error("too many captures")
    end
    local level = #state.captures + 1
    state.captures[level] = { from = at, size = is_place and "place" or nil }
    local stop = run(state, at, index + 1)
    if not stop then
        state.captures[level] = nil
    end
    return stop
end

local function run_close(state, at, index)
    local level = #state.captures
    while level > 0 and state.captures[level].size do
        level = level - 1
    end
    if level == 0 then
        error("invalid pattern capture")
    end
    local capture = state.captures[level]
    capture.size = at - capture.from
    local stop = run(state, at, index + 1)
    if not stop then
        capture.size = nil
    end
    return stop
end

local function captured(state, capture)
    if capture.size == "place" then
        return capture.from
    elseif not capture.size then
        error("unfinished capture")
    end
    return sub(state.text, capture.from, capture.from + capture.size - 1)
end

local function is_frontier(state, at, step)
    local before = at == 1 and "\0" or sub(state.text, at - 1, at - 1)
    local after = at > #state.text and "\0" or sub(state.text, at, at)
    return not find(before, step.set) and find(after, step.set)
end

function run(state, at, index)
    while true do
        local step = state.steps[index]
        if not step then
            return at
        end
        local kind = step.kind
        if kind == "one" then
            at = is_one(state, at, step) and at + 1
        elseif kind == "*" or kind == "+" then
            return run_longest(state, at, index, step, kind == "*" and 0 or 1)
        elseif kind == "-" then
            return run_shortest(state, at, index, step)
        elseif kind == "?" then
            if is_one(state, at, step) then
                local stop = run(state, at + 1, index + 1)
                if stop then
                    return stop
                end
            end
        elseif kind == "end" then
            at = at == #state.text + 1 and at
        elseif kind == "balance" then
            at = run_balance(state, at, step)
        elseif kind == "frontier" then
            at = is_frontier(state, at, step) and at
        elseif kind == "back" then
            local capture = state.captures[step.index]
            if not capture or not capture.size then
                error("invalid capture index")
            end
            local text = captured(state, capture)
            -- A place is no text and never matches.
            at = type(text) == "string"
                and sub(state.text, at, at + #text - 1) == text
                and at + #text
        elseif kind == "close" then
            return run_close(state, at, index)
        else
            return run_open(state, at, index, kind == "place")
        end
        if not at then
            return nil
        end
        index = index + 1
    end
end

-- The first match from `at` on: its state with `from` and `stop`, or nil.
local function search(text, steps, anchored, at)
    while at <= #text + 1 do
        local state = { text = text, steps = steps, captures = {}, from = at }
        state.stop = run(state, at, 1)
        if state.stop then
            return state
        elseif anchored then
            return nil
        end
        at = at + 1
    end
end

local function captures_of(state, whole)
    local values, count = {}, #state.captures
    for index = 1, count do
        values[index] = captured(state, state.captures[index])
    end
    if count == 0 and whole then
        values[1], count = sub(state.text, state.from, state.stop - 1), 1
    end
    return unpack(values, 1, count)
end

local function prepared(pattern)
    local anchored = sub(pattern, 1, 1) == "^"
    return parse(pattern, anchored and 2 or 1), anchored
end

local function starting(text, init)
    local at = tonumber(init) or 1
    at = at < 0 and math.max(#text + at + 1, 1) or math.max(at, 1)
    return math.min(math.floor(at), #text + 1)
end

-- The library functions

local function plain_find(text, wanted, at)
    while at <= #text - #wanted + 1 do
        at = find(text, sub(wanted, 1, 32), at, true)
        if not at then
            return nil
        elseif sub(text, at, at + #wanted - 1) == wanted then
            return at, at + #wanted - 1
        end
        at = at + 1
    end
    return nil
end

-- Whether both are strings and the call is too dear for C; other arguments are C's to refuse.
local function dear(text, pattern)
    return type(text) == "string" and type(pattern) == "string" and not cheap(text, pattern)
end

local library = {}

function library.find(...)
    local text, pattern, init, plain = ...
    if not dear(text, pattern) then
        return find(...)
    end
    local at = starting(text, init)
    if plain or not find(pattern, SPECIALS) then
        return plain_find(text, pattern, at)
    end
    local steps, anchored = prepared(pattern)
    local state = search(text, steps, anchored, at)
    if state then
        return state.from, state.stop - 1, captures_of(state, false)
    end
    return nil
end

function library.match(...)
    local text, pattern, init = ...
    if not dear(text, pattern) then
        return match(...)
    end
    local steps, anchored = prepared(pattern)
    local state = search(text, steps, anchored, starting(text, init))
    if state then
        return captures_of(state, true)
    end
    return nil
end

function library.gmatch(...)
    local text, pattern = ...
    if not dear(text, pattern) then
        return gmatch(...)
    end
    local steps, at = parse(pattern, 1), 1
    return function()
        local state = at <= #text + 1 and search(text, steps, false, at)
        if state then
            at = state.stop == state.from and state.stop + 1 or state.stop
            return captures_of(state, true)
        end
    end
end

local function replacement(state, with)
    local whole = sub(state.text, state.from, state.stop - 1)
    local value
    if type(with) == "string" then
        value = gsub(with, "%%(.?)", function(sign)
            if sign == "0" then
                return whole
            elseif find(sign, "%d") then
                local values = { captures_of(state, true) }
                if values[byte(sign) - 48] == nil then
                    error("invalid capture index")
                end
                return values[byte(sign) - 48]
            end
            return sign
        end)
    elseif type(with) == "table" then
        value = with[captures_of(state, true)]
    else
        value = with(captures_of(state, true))
    end
    if not value then
        return whole
    elseif type(value) ~= "string" and type(value) ~= "number" then
        error("invalid replacement value (a " .. type(value) .. ")")
    end
    return value
end

local REPLACEMENTS = { string = true, number = true, table = true, ["function"] = true }

function library.gsub(...)
    local text, pattern, with, limit = ...
    if not dear(text, pattern) or not REPLACEMENTS[type(with)] then
        return gsub(...)
    end
    if type(with) == "number" then
        with = tostring(with)
    end
    local steps, anchored = prepared(pattern)
    local out, at, count = {}, 1, 0
    limit = tonumber(limit) or #text + 1
    while count < limit and at <= #text + 1 do
        local state = search(text, steps, anchored, at)
        if not state then
            break
        end
        count = count + 1
        out[#out + 1] = sub(text, at, state.from - 1)
        out[#out + 1] = replacement(state, with)
        at = state.stop
        if state.stop == state.from then
            out[#out + 1] = sub(text, at, at)
            at = at + 1
        end
        if anchored then
            break
        end
    end
    out[#out + 1] = sub(text, at)
    return table.concat(out), count
end

library.gfind = library.gmatch
return library
