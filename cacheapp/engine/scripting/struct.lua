-- The `struct` library: binary layouts, after the formats of Lua's struct package.
-- `double_bytes(number, size)` and `bytes_double(text)` of the host convert floats, big-endian;
-- `bits(operation, a, b)` works on integers.

local double_bytes, bytes_double, bits = ...

local INT_SIZE_MAX, ALIGN_DEFAULT = 32, 8
local SIZES = { b = 1, B = 1, h = 2, H = 2, l = 8, L = 8, T = 8, f = 4, d = 8, x = 1 }

local DATA = {}
for option in ("bBhHlLTfdxiIcs"):gmatch(".") do
    DATA[option] = true
end

local function argument_error(position, name, message)
    error("bad argument #" .. position .. " to '" .. name .. "' (" .. message .. ")")
end

local function number_after(format, at, default)
    local digits = string.match(format, "^%d+", at)
    if not digits then
        return default, at
    end
    local value = tonumber(digits)
    if value > 2 ^ 31 - 1 then
        error("integral size overflow")
    end
    return value, at + #digits
end

-- How far the next value of `size` is from its place; sizes that are no power of two get the odd
-- answers that the bits of the original give.
local function alignment(length, option, size, align)
    if size == 0 or option == "c" then
        return 0
    end
    size = math.min(size, align)
    return bits("band", size - bits("band", length, size - 1), size - 1)
end

-- Walks a format and calls `visit(option, size, state)` for each option that is none of control.
local function walk(format, name, visit)
    local state = { little = true, align = 1, length = 0 }
    local at = 1
    while at <= #format do
        local option = format:sub(at, at)
        at = at + 1
        local size
        if option == "i" or option == "I" then
            size, at = number_after(format, at, 4)
            if size > INT_SIZE_MAX then
                error("integral size " .. size .. " is larger than limit of " .. INT_SIZE_MAX)
            end
        elseif option == "c" then
            size, at = number_after(format, at, 1)
        else
            size = SIZES[option] or 0
        end
        visit(option, size, state)
        if option == "!" then
            state.align, at = number_after(format, at, ALIGN_DEFAULT)
            local power = state.align
            while power > 1 and power % 2 == 0 do
                power = power / 2
            end
            if power ~= 1 then
                error("alignment " .. state.align .. " is not a power of 2")
            end
        elseif option == ">" or option == "<" then
            state.little = option == "<"
        elseif option ~= " " and not DATA[option] and (name ~= "size" or option:find("%W")) then
            argument_error(1, name, "invalid format option '" .. option .. "'")
        end
    end
    return state.length
end

-- A missing value shows as nil to pack, which keeps a mark behind its arguments.
local function described(value, name)
    return value == nil and name ~= "pack" and "no value" or type(value)
end

local function text_of(value, position, name)
    if type(value) == "number" then
        return tostring(value)
    elseif type(value) ~= "string" then
        argument_error(position, name, "string expected, got " .. described(value, name))
    end
    return value
end

local function number_of(value, position, name)
    local converted = tonumber(value)
    if not converted then
        argument_error(position, name, "number expected, got " .. described(value, name))
    end
    return converted
end

local function integer_bytes(value, size, little)
    value = value < 0 and math.ceil(value) or math.floor(value)
    local bytes = {}
    for index = 1, size do
        bytes[index] = string.char(index > 8 and 0 or value % 256)
        value = math.floor(value / 256)
    end
    local text = table.concat(bytes)
    return little and text or text:reverse()
end

local function bytes_integer(text, little, signed)
    if little then
        text = text:reverse()
    end
    text = text:sub(-8)
    local value = text:byte(1)
    if signed and value >= 128 then
        value = value - 256
    end
    for index = 2, #text do
        value = value * 256 + text:byte(index)
    end
    return value
end

local function pack(format, ...)
    local arguments, next_argument, out = { ... }, 1, {}
    walk(text_of(format, 1, "pack"), "pack", function(option, size, state)
        if not DATA[option] then
            return
        end
        local padding = alignment(state.length, option, size, state.align)
        out[#out + 1] = ("\0"):rep(padding)
        state.length = state.length + padding
        if option == "x" then
            out[#out + 1] = "\0"
            state.length = state.length + 1
            return
        end
        local value, position = arguments[next_argument], next_argument + 1
        next_argument = next_argument + 1
        if option == "c" or option == "s" then
            value = text_of(value, position, "pack")
            if size == 0 then
                size = #value
            elseif #value < size then
                argument_error(position + 1, "pack", "string too short")
            end
            out[#out + 1] = value:sub(1, size)
            if option == "s" then
                out[#out + 1] = "\0"
                size = size + 1
            end
        elseif option == "f" or option == "d" then
            local text = double_bytes(number_of(value, position, "pack"), size)
            out[#out + 1] = state.little and text:reverse() or text
        else
            out[#out + 1] = integer_bytes(number_of(value, position, "pack"), size, state.little)
        end
        state.length = state.length + size
    end)
    return table.concat(out)
end

local function unpack_values(format, data, start)
    format, data = text_of(format, 1, "unpack"), text_of(data, 2, "unpack")
    local position = start == nil and 1 or number_of(start, 3, "unpack")
    if position < 0 then
        argument_error(2, "unpack", "data string too short")
    elseif position < 1 then
        argument_error(3, "unpack", "offset must be 1 or greater")
    end
    position = math.floor(position) - 1
    local out, count = {}, 0
    walk(format, "unpack", function(option, size, state)
        -- Alignment counts from the beginning of the data.
        position = position + alignment(position, option, size, state.align)
        if position + size > #data then
            argument_error(2, "unpack", "data string too short")
        end
        if not DATA[option] then
            return
        end
        if option == "c" then
            if size == 0 then
                if type(out[count]) ~= "number" then
                    error("format 'c0' needs a previous size")
                end
                size = out[count]
                out[count], count = nil, count - 1
                if size < 0 or position + size > #data then
                    argument_error(2, "unpack", "data string too short")
                end
            end
            count = count + 1
            out[count] = data:sub(position + 1, position + size)
        elseif option == "s" then
            local stop = string.find(data, "\0", position + 1, true)
            if not stop then
                error("unfinished string in data")
            end
            count = count + 1
            out[count] = data:sub(position + 1, stop - 1)
            size = stop - position
        elseif option == "f" or option == "d" then
            local text = data:sub(position + 1, position + size)
            count = count + 1
            out[count] = bytes_double(state.little and text:reverse() or text)
        elseif option ~= "x" then
            local text = data:sub(position + 1, position + size)
            count = count + 1
            out[count] = size == 0 and 0
                or bytes_integer(text, state.little, option == option:lower())
        end
        position = position + size
    end)
    out[count + 1] = position + 1
    return unpack(out, 1, count + 1)
end

local function size(format)
    return walk(text_of(format, 1, "size"), "size", function(option, option_size, state)
        state.length = state.length + alignment(state.length, option, option_size, state.align)
        if option == "s" then
            argument_error(1, "size", "option 's' has no fixed size")
        elseif option == "c" and option_size == 0 then
            argument_error(1, "size", "option 'c0' has no fixed size")
        end
        state.length = state.length + option_size
    end)
end

return { pack = pack, unpack = unpack_values, size = size }
