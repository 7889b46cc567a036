-- The `cjson` library: JSON, with the choices and the error texts of the C library in Redis.
-- `null` stands for JSON's null. Settings last until they are set again, as in Redis.

local null = ...

-- Not text:find(...): a method call gets what scripts get, which prices its arguments first.
local char, find, format, gsub, match, sub = string.char, string.find, string.format, string.gsub,
    string.match, string.sub
local floor = math.floor
local HUGE = math.huge

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\127"] = "\\u007f" }
for code = 0, 31 do
    ESCAPES[char(code)] = format("\\u%04x", code)
end
ESCAPES["\b"], ESCAPES["\t"], ESCAPES["\n"] = "\\b", "\\t", "\\n"
ESCAPES["\f"], ESCAPES["\r"] = "\\f", "\\r"
local UNESCAPES = {
    ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}

local function argument_error(position, name, message)
    error("bad argument #" .. position .. " to '" .. name .. "' (" .. message .. ")")
end

-- Encoding

local function refuse(kind, reason)
    error("Cannot serialise " .. kind .. ": " .. reason)
end

local function encode_number(settings, value)
    if value ~= value or value == HUGE or value == -HUGE then
        if settings.encode_invalid_numbers == "null" then
            return "null"
        elseif not settings.encode_invalid_numbers then
            refuse("number", "must not be NaN or Inf")
        end
        return value ~= value and "nan" or value > 0 and "inf" or "-inf"
    end
    return format("%." .. settings.encode_number_precision .. "g", value)
end

local function encode_string(value)
    return '"' .. gsub(value, '[%c"\\/\127]', ESCAPES) .. '"'
end

-- The length of a table that is an array by its keys, nil for an object.
local function array_length(settings, t)
    local most, count = 0, 0
    for key in next, t do
        if type(key) ~= "number" or key < 1 or key ~= floor(key) then
            return nil
        end
        most = key > most and key or most
        count = count + 1
    end
    local ratio = settings.sparse_ratio
    if ratio > 0 and most > count * ratio and most > settings.sparse_safe then
        if not settings.sparse_convert then
            refuse("table", "excessively sparse array")
        end
        return nil
    end
    return most > 0 and most or nil
end

local encode_value

local function encode_table(settings, out, t, depth)
    if depth > settings.encode_max_depth then
        error("Cannot serialise, excessive nesting (" .. depth .. ")")
    end
    local length = array_length(settings, t)
    if length then
        out[#out + 1] = "["
        for index = 1, length do
            if index > 1 then
                out[#out + 1] = ","
            end
            encode_value(settings, out, rawget(t, index), depth)
        end
        out[#out + 1] = "]"
        return
    end
    local separator = "{"
    for key, value in next, t do
        if type(key) == "number" then
            key = '"' .. encode_number(settings, key) .. '":'
        elseif type(key) == "string" then
            key = encode_string(key) .. ":"
        else
            refuse(type(key), "table key must be a number or string")
        end
        out[#out + 1] = separator .. key
        separator = ","
        encode_value(settings, out, value, depth)
    end
    out[#out + 1] = separator == "{" and "{}" or "}"
end

function encode_value(settings, out, value, depth)
    local kind = type(value)
    if kind == "string" then
        out[#out + 1] = encode_string(value)
    elseif kind == "number" then
        out[#out + 1] = encode_number(settings, value)
    elseif kind == "boolean" then
        out[#out + 1] = value and "true" or "false"
    elseif kind == "table" then
        encode_table(settings, out, value, depth + 1)
    elseif value == nil or value == null then
        out[#out + 1] = "null"
    else
        refuse(kind, "type not supported")
    end
end

-- Decoding: a scanner that gives a token's kind, its value, and where the next one may begin

local PUNCTUATION = {
    ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END",
    [":"] = "T_COLON", [","] = "T_COMMA",
}
local WORDS = {
    { "true", "T_BOOLEAN", true }, { "false", "T_BOOLEAN", false }, { "null", "T_NULL" },
}

local function unexpected(expected, found, at)
    error("Expected " .. expected .. " but found " .. found .. " at character " .. at)
end

local function utf8(code)
    if code < 0x80 then
        return char(code)
    elseif code < 0x800 then
        return char(0xc0 + floor(code / 64), 0x80 + code % 64)
    elseif code < 0x10000 then
        return char(0xe0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
    end
    return char(
        0xf0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64,
        0x80 + floor(code / 64) % 64, 0x80 + code % 64
    )
end

-- A \u escape at `at`, perhaps the first of a pair: its bytes and where it ends, or nil.
local function unicode_escape(text, at)
    local digits = match(text, "^\\u(%x%x%x%x)", at)
    if not digits then
        return nil
    end
    local code = tonumber(digits, 16)
    if code < 0xd800 or code > 0xdfff then
        return utf8(code), at + 6
    elseif code > 0xdbff then
        return nil
    end
    local low = tonumber(match(text, "^\\u(%x%x%x%x)", at + 6) or "0", 16)
    if low < 0xdc00 or low > 0xdfff then
        return nil
    end
    return utf8(0x10000 + (code - 0xd800) * 1024 + low - 0xdc00), at + 12
end

-- The string that begins at the quote `at`: T_STRING, or T_ERROR with a reason and its place.
local function scan_string(text, at)
    local pieces, from = {}, at + 1
    while true do
        local stop = find(text, '["\\%z]', from)
        local sign = stop and sub(text, stop, stop)
        if not stop or sign == "\0" then
            return "T_ERROR", "unexpected end of string", stop or #text + 1
        end
        pieces[#pieces + 1] = sub(text, from, stop - 1)
        if sign == '"' then
            return "T_STRING", table.concat(pieces), stop + 1
        end
        local letter = sub(text, stop + 1, stop + 1)
        local piece
        if letter == "u" then
            piece, from = unicode_escape(text, stop)
            if not piece then
                return "T_ERROR", "invalid unicode escape code", stop
            end
        else
            piece, from = UNESCAPES[letter], stop + 2
            if not piece then
                return "T_ERROR", "invalid escape code", stop
            end
        end
        pieces[#pieces + 1] = piece
    end
end

-- The decimal number at `at`, or nil. A step has one repetition, and nothing after it that could
-- fail: a pattern of several would try every division of a long row of digits, in C.
local function decimal(text, at)
    local _, last = find(text, "^[+-]?%d*", at)
    if find(text, "^%d", last) then
        local _, fraction = find(text, "^%.%d*", last + 1)
        last = fraction or last
        local _, exponent = find(text, "^[eE][+-]?%d+", last + 1)
        last = exponent or last
    else
        _, last = find(text, "^[+-]?%.%d+", at)
    end
    return last and text:sub(at, last)
end

local function scan_number(settings, text, at)
    local digits = decimal(text, at)
    local hexadecimal = match(text, "^[+-]?0[xX]%x+", at)
    if not settings.decode_invalid_numbers then
        if hexadecimal or not digits or find(digits, "^-?0%d") or find(digits, "^-?%.") then
            return "T_ERROR", "invalid number", at
        end
    end
    local word = not digits and match(text, "^[+-]?%a+", at)
    if word then
        local lowered = gsub(word:lower(), "^%+", "")
        if find(lowered, "^-?inf") then
            local size = find(lowered, "^-?infinity") and 8 or 3
            local negative = lowered:sub(1, 1) == "-"
            return "T_NUMBER", negative and -HUGE or HUGE, at + #word - #lowered + size
                + (negative and 1 or 0)
        elseif find(lowered, "^-?nan") then
            return "T_NUMBER", 0 / 0, at + #word - #lowered + (find(lowered, "^-") and 4 or 3)
        end
    end
    digits = hexadecimal or digits
    if not digits then
        return "T_ERROR", "invalid number", at
    end
    return "T_NUMBER", tonumber((gsub(digits, "^%+", ""))), at + #digits
end

local function scan(settings, text, at)
    at = find(text, "[^ \t\n\r]", at) or #text + 1
    local first = sub(text, at, at)
    local kind = PUNCTUATION[first]
    if kind then
        return kind, nil, at + 1, at
    elseif first == '"' then
        local value, after
        kind, value, after = scan_string(text, at)
        return kind, value, after, kind == "T_ERROR" and after or at
    elseif first == "" or first == "\0" then
        return "T_END", nil, at, at
    end
    for _, word in ipairs(WORDS) do
        if sub(text, at, at + #word[1] - 1) == word[1] then
            return word[2], word[3], at + #word[1], at
        end
    end
    local lenient = settings.decode_invalid_numbers
    local word = lenient and find(first, "[iInN]")
    if word or find(first, lenient and "[%d+-]" or "[%d-]") then
        local value, after
        kind, value, after = scan_number(settings, text, at)
        if kind == "T_NUMBER" or not word then
            return kind, value, after, at
        end
    end
    return "T_ERROR", "invalid token", at, at
end

local parse_value

local function found_text(kind, value)
    return kind == "T_ERROR" and value or kind
end

local function parse_object(settings, text, at, depth)
    local t = {}
    local kind, value, after, place = scan(settings, text, at)
    if kind == "T_OBJ_END" then
        return t, after
    end
    while true do
        if kind ~= "T_STRING" then
            unexpected("object key string", found_text(kind, value), place)
        end
        local key = value
        kind, value, after, place = scan(settings, text, after)
        if kind ~= "T_COLON" then
            unexpected("colon", found_text(kind, value), place)
        end
        t[key], after = parse_value(settings, text, after, depth)
        kind, value, after, place = scan(settings, text, after)
        if kind == "T_OBJ_END" then
            return t, after
        elseif kind ~= "T_COMMA" then
            unexpected("comma or object end", found_text(kind, value), place)
        end
        kind, value, after, place = scan(settings, text, after)
    end
end

local function parse_array(settings, text, at, depth)
    local t, count = {}, 0
    local kind, value, after, place = scan(settings, text, at)
    if kind == "T_ARR_END" then
        return t, after
    end
    after = at
    while true do
        count = count + 1
        t[count], after = parse_value(settings, text, after, depth)
        kind, value, after, place = scan(settings, text, after)
        if kind == "T_ARR_END" then
            return t, after
        elseif kind ~= "T_COMMA" then
            unexpected("comma or array end", found_text(kind, value), place)
        end
    end
end

function parse_value(settings, text, at, depth)
    local kind, value, after, place = scan(settings, text, at)
    if kind == "T_STRING" or kind == "T_NUMBER" or kind == "T_BOOLEAN" then
        return value, after
    elseif kind == "T_NULL" then
        return null, after
    elseif kind == "T_OBJ_BEGIN" or kind == "T_ARR_BEGIN" then
        if depth >= settings.decode_max_depth then
            error(
                "Found too many nested data structures (" .. depth + 1 .. ") at character " .. place
            )
        end
        local parse = kind == "T_OBJ_BEGIN" and parse_object or parse_array
        return parse(settings, text, after, depth + 1)
    end
    unexpected("value", found_text(kind, value), place)
end

-- The module

local function integer_setting(settings, field, low, high)
    return function(value)
        if value ~= nil then
            local number = tonumber(value)
            if not number then
                argument_error(1, field, "number expected, got " .. type(value))
            elseif number < low or number > high then
                argument_error(1, field, format("expected integer between %d and %d", low, high))
            end
            settings[field] = floor(number)
        end
        return settings[field]
    end
end

local function invalid_setting(settings, field, words)
    return function(value)
        if value ~= nil then
            if type(value) == "string" then
                if not words[value] then
                    argument_error(1, field, "invalid option '" .. value .. "'")
                end
                value = words[value] == "on" or (words[value] ~= "off" and words[value])
            elseif type(value) ~= "boolean" then
                argument_error(1, field, "string expected, got " .. type(value))
            end
            settings[field] = value
        end
        return settings[field]
    end
end

local function new()
    local settings = {
        sparse_convert = false, sparse_ratio = 2, sparse_safe = 10,
        encode_max_depth = 1000, decode_max_depth = 1000, encode_number_precision = 14,
        encode_invalid_numbers = false, decode_invalid_numbers = true, keep = true,
    }
    local module = { _NAME = "cjson", _VERSION = "2.1.0", null = null, new = new }

    function module.encode(...)
        if select("#", ...) ~= 1 then
            argument_error(1, "encode", "expected 1 argument")
        end
        local out = {}
        encode_value(settings, out, (...), 0)
        return table.concat(out)
    end

    function module.decode(...)
        if select("#", ...) ~= 1 then
            argument_error(1, "decode", "expected 1 argument")
        end
        local text = ...
        if type(text) == "number" then
            text = tostring(text)
        elseif type(text) ~= "string" then
            argument_error(1, "decode", "string expected, got " .. type(text))
        end
        if #text >= 2 and (text:byte(1) == 0 or text:byte(2) == 0) then
            error("JSON parser does not support UTF-16 or UTF-32")
        end
        local result, after = parse_value(settings, text, 1, 0)
        local kind, value, _, place = scan(settings, text, after)
        if kind ~= "T_END" then
            unexpected("the end", found_text(kind, value), place)
        end
        return result
    end

    function module.encode_sparse_array(convert, ratio, safe)
        if convert ~= nil then
            settings.sparse_convert = convert == true or convert == "on"
        end
        settings.sparse_ratio = ratio and floor(ratio) or settings.sparse_ratio
        settings.sparse_safe = safe and floor(safe) or settings.sparse_safe
        return settings.sparse_convert, settings.sparse_ratio, settings.sparse_safe
    end

    function module.encode_keep_buffer(value)
        if value ~= nil then
            settings.keep = value == true or value == "on"
        end
        return settings.keep
    end

    module.encode_max_depth = integer_setting(settings, "encode_max_depth", 1, 2 ^ 31 - 1)
    module.decode_max_depth = integer_setting(settings, "decode_max_depth", 1, 2 ^ 31 - 1)
    module.encode_number_precision = integer_setting(settings, "encode_number_precision", 1, 14)
    module.encode_invalid_numbers = invalid_setting(
        settings, "encode_invalid_numbers", { off = "off", on = "on", null = "null" }
    )
    module.decode_invalid_numbers = invalid_setting(
        settings, "decode_invalid_numbers", { off = "off", on = "on" }
    )
    return module
end

return new()
