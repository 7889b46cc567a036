-- What a script returned, on its way out.
--
-- Scalars cross as they are. A short array of them crosses as "list" and its elements; any other
-- table as "value" and one text in which everything has its length (see conversion.py).

local concat, format = table.concat, string.format

-- Nesting of tables that a script may return.
local DEPTH_MAX = 200

local flatten

local MARKS = { "err", "ok", "double", "map", "set", "big_number", "verbatim_string" }

local function field(t, name, kind)
    local value = rawget(t, name)
    if type(value) == kind then
        return value
    end
end

local function sized(out, sign, text)
    out[#out + 1] = sign .. #text .. "\n"
    out[#out + 1] = text
end

local function flatten_pairs(out, sign, entries, with_values, depth)
    local slot, count = #out + 1, 0
    out[slot] = ""
    for key, value in next, entries do
        count = count + 1
        flatten(out, key, depth)
        if with_values then
            flatten(out, value, depth)
        end
    end
    out[slot] = sign .. count .. "\n"
end

local function flatten_table(out, t, depth)
    local value = field(t, "err", "string")
    if value then
        return sized(out, rawget(t, "ignore_error_stats_update") and "!" or "-", value)
    end
    value = field(t, "ok", "string")
    if value then
        return sized(out, "+", value)
    end
    value = field(t, "double", "number")
    if value then
        out[#out + 1] = format(",%.17g\n", value)
        return
    end
    value = field(t, "map", "table")
    if value then
        return flatten_pairs(out, "%", value, true, depth)
    end
    value = field(t, "set", "table")
    if value then
        return flatten_pairs(out, "~", value, false, depth)
    end
    value = field(t, "big_number", "string")
    if value then
        return sized(out, "(", value)
    end
    value = field(t, "verbatim_string", "table")
    if value then
        local kind, text = field(value, "format", "string"), field(value, "string", "string")
        if kind and text then
            return sized(out, "=", text)
        end
    end
    local slot, count = #out + 1, 0
    out[slot] = ""
    value = rawget(t, 1)
    while value ~= nil do
        count = count + 1
        flatten(out, value, depth)
        value = rawget(t, count + 1)
    end
    out[slot] = "*" .. count .. "\n"
end

function flatten(out, value, depth)
    local kind = type(value)
    if kind == "string" then
        sized(out, "$", value)
    elseif kind == "number" then
        out[#out + 1] = format(":%.17g\n", value)
    elseif kind == "boolean" then
        out[#out + 1] = value and "#t\n" or "#f\n"
    elseif kind == "table" then
        if depth >= DEPTH_MAX then
            sized(out, "-", "ERR reached lua stack limit")
        else
            flatten_table(out, value, depth + 1)
        end
    else
        out[#out + 1] = "_\n"
    end
end

-- The length of a short, not empty array of strings and numbers, which needs no flattening; nil
-- for other tables.
local FLAT_MAX = 100

local function flat_length(t)
    for index = 1, #MARKS do
        if rawget(t, MARKS[index]) ~= nil then
            return nil
        end
    end
    for index = 1, FLAT_MAX do
        local value = rawget(t, index)
        if value == nil then
            return index > 1 and index - 1 or nil
        end
        local kind = type(value)
        if kind ~= "string" and kind ~= "number" then
            return nil
        end
    end
end

local SCALARS = { ["nil"] = true, string = true, number = true, boolean = true }

return function(value)
    local kind = type(value)
    if SCALARS[kind] then
        return value
    elseif kind ~= "table" then
        return nil
    end
    local count = flat_length(value)
    if count then
        return "list", unpack(value, 1, count)
    end
    local out = {}
    flatten(out, value, 0)
    return "value", concat(out)
end
