-- The `cmsgpack` library: MessagePack, with the choices of the C library that Redis ships.
-- `double_bytes(number, size)` and `bytes_double(text)` of the host convert floats, big-endian.

local double_bytes, bytes_double = ...

-- Tables nested deeper than this are packed as nil.
local NESTING_MAX = 16
local byte, char, floor = string.byte, string.char, math.floor

local function big_endian(value, size)
    local bytes = {}
    for index = size, 1, -1 do
        bytes[index] = char(value % 256)
        value = floor(value / 256)
    end
    return table.concat(bytes)
end

-- `forms`: greatest count, first byte, bytes of the count that follow it.
local function header(count, forms)
    for index = 1, #forms do
        local form = forms[index]
        local most, first, size = form[1], form[2], form[3]
        if count <= most then
            if size == 0 then
                return char(first + count)
            end
            return char(first) .. big_endian(count, size)
        end
    end
    error("too many elements")
end

local BIN32 = 2 ^ 32 - 1
local STRING = { { 31, 0xa0, 0 }, { 255, 0xd9, 1 }, { 65535, 0xda, 2 }, { BIN32, 0xdb, 4 } }
local ARRAY = { { 15, 0x90, 0 }, { 65535, 0xdc, 2 }, { BIN32, 0xdd, 4 } }
local MAP = { { 15, 0x80, 0 }, { 65535, 0xde, 2 }, { BIN32, 0xdf, 4 } }
local POSITIVE = { { 127, 0, 0 }, { 255, 0xcc, 1 }, { 65535, 0xcd, 2 }, { BIN32, 0xce, 4 } }

local function integer(value)
    if value >= 2 ^ 32 then
        return char(0xcf) .. big_endian(value, 8)
    elseif value >= 2 ^ 16 then
        local high, low = floor(value / 65536), value % 65536
        return char(0xce, floor(high / 256), high % 256, floor(low / 256), low % 256)
    elseif value >= 0 then
        return header(value, POSITIVE)
    elseif value >= -32 then
        return char(256 + value)
    elseif value >= -128 then
        return char(0xd0) .. big_endian(value, 1)
    elseif value >= -32768 then
        return char(0xd1) .. big_endian(value, 2)
    elseif value >= -2 ^ 31 then
        return char(0xd2) .. big_endian(value, 4)
    end
    return char(0xd3) .. big_endian(value, 8)
end

local function number(value)
    if value == floor(value) and value >= -2 ^ 63 and value < 2 ^ 63 then
        return integer(value)
    end
    local short = double_bytes(value, 4)
    if short and bytes_double(short) == value then
        return char(0xca) .. short
    end
    return char(0xcb) .. double_bytes(value, 8)
end

local function array_length(t)
    local count, most = 0, 0
    for key in next, t do
        if type(key) ~= "number" or key <= 0 or key ~= floor(key) then
            return nil
        end
        count = count + 1
        most = math.max(most, key)
    end
    return most == count and count or nil
end

local function pack_value(out, value, level)
    local kind = type(value)
    if kind == "string" then
        out[#out + 1] = header(#value, STRING) .. value
    elseif kind == "number" then
        out[#out + 1] = number(value)
    elseif kind == "boolean" then
        out[#out + 1] = value and "\195" or "\194"
    elseif kind == "table" and level < NESTING_MAX then
        local length = array_length(value)
        if length then
            out[#out + 1] = header(length, ARRAY)
            for index = 1, length do
                pack_value(out, rawget(value, index), level + 1)
            end
            return
        end
        local slot, count = #out + 1, 0
        out[slot] = ""
        for key, item in next, value do
            count = count + 1
            pack_value(out, key, level + 1)
            pack_value(out, item, level + 1)
        end
        out[slot] = header(count, MAP)
    else
        out[#out + 1] = "\192"
    end
end

local function pack(...)
    local count = select("#", ...)
    if count == 0 then
        error("bad argument #0 to 'pack' (MessagePack pack needs input.)")
    end
    local out, values = {}, { ... }
    for index = 1, count do
        pack_value(out, values[index], 0)
    end
    return table.concat(out)
end

local function take(data, at, size)
    if at + size - 1 > #data then
        error("Missing bytes in input.")
    end
    return data:sub(at, at + size - 1), at + size
end

local function unsigned(data, at, size)
    local last = at + size - 1
    if last > #data then
        error("Missing bytes in input.")
    end
    local value = 0
    for index = at, last do
        value = value * 256 + byte(data, index)
    end
    return value, last + 1
end

local function signed(data, at, size)
    local text
    text, at = take(data, at, size)
    local value = text:byte(1)
    value = value >= 128 and value - 256 or value
    for index = 2, size do
        value = value * 256 + text:byte(index)
    end
    return value, at
end

local unpack_value

local function unpack_array(data, at, count)
    local t = {}
    for index = 1, count do
        t[index], at = unpack_value(data, at)
    end
    return t, at
end

local function unpack_map(data, at, count)
    local t = {}
    for _ = 1, count do
        local key, value
        key, at = unpack_value(data, at)
        value, at = unpack_value(data, at)
        t[key] = value
    end
    return t, at
end

local function sized(reader, size)
    return function(data, at)
        local count
        count, at = unsigned(data, at, size)
        return reader(data, at, count)
    end
end

local function plain(reader, size)
    return function(data, at)
        return reader(data, at, size)
    end
end

local function constant(value)
    return function(_, at)
        return value, at
    end
end

local function float(data, at, size)
    local text
    text, at = take(data, at, size)
    return bytes_double(text), at
end

local READERS = {
    [0xc0] = constant(nil), [0xc2] = constant(false), [0xc3] = constant(true),
    [0xca] = plain(float, 4), [0xcb] = plain(float, 8),
    [0xcc] = plain(unsigned, 1), [0xcd] = plain(unsigned, 2),
    [0xce] = plain(unsigned, 4), [0xcf] = plain(unsigned, 8),
    [0xd0] = plain(signed, 1), [0xd1] = plain(signed, 2),
    [0xd2] = plain(signed, 4), [0xd3] = plain(signed, 8),
    [0xd9] = sized(take, 1), [0xda] = sized(take, 2), [0xdb] = sized(take, 4),
    [0xdc] = sized(unpack_array, 2), [0xdd] = sized(unpack_array, 4),
    [0xde] = sized(unpack_map, 2), [0xdf] = sized(unpack_map, 4),
}

function unpack_value(data, at)
    local first = byte(data, at)
    if not first then
        error("Missing bytes in input.")
    end
    at = at + 1
    if first < 0x80 then
        return first, at
    elseif first < 0x90 then
        return unpack_map(data, at, first - 0x80)
    elseif first < 0xa0 then
        return unpack_array(data, at, first - 0x90)
    elseif first < 0xc0 then
        return take(data, at, first - 0xa0)
    elseif first >= 0xe0 then
        return first - 256, at
    end
    local reader = READERS[first]
    if not reader then
        error("Bad data format in input.")
    end
    return reader(data, at)
end

-- Up to `limit` values (0: all) from the zero-based `offset`; with a limit, where to go on is
-- returned first, -1 for the end.
local function unpack_from(name, data, limit, offset)
    if type(data) == "number" then
        data = tostring(data)
    elseif type(data) ~= "string" then
        local got = data == nil and "no value" or type(data)
        error("bad argument #1 to '" .. name .. "' (string expected, got " .. got .. ")")
    end
    if offset < 0 or limit < 0 then
        local request = "Invalid request to unpack with offset of %d and limit of %d."
        error(string.format(request, offset, #data))
    elseif offset > #data then
        error(string.format("Start offset %d greater than input length %d.", offset, #data))
    end
    local values, count, at = {}, 0, offset + 1
    while at <= #data and (limit == 0 or count < limit) do
        count = count + 1
        values[count], at = unpack_value(data, at)
    end
    if limit == 0 then
        return unpack(values, 1, count)
    end
    return at > #data and -1 or at - 1, unpack(values, 1, count)
end

return {
    _NAME = "cmsgpack",
    _VERSION = "lua-cmsgpack 0.4.0",
    _COPYRIGHT = "Copyright (C) 2012, Salvatore Sanfilippo",
    _DESCRIPTION = "MessagePack C implementation for Lua",
    pack = pack,
    unpack = function(data)
        return unpack_from("unpack", data, 0, 0)
    end,
    unpack_one = function(data, offset)
        return unpack_from("unpack_one", data, 1, tonumber(offset) or 0)
    end,
    unpack_limit = function(data, limit, offset)
        if limit == nil then
            error("bad argument #2 to 'unpack_limit' (number expected, got no value)")
        end
        return unpack_from("unpack_limit", data, tonumber(limit) or 0, tonumber(offset) or 0)
    end,
}
