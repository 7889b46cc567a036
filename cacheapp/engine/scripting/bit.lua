-- The `bit` library: operations on 32-bit integers, results signed, as Lua BitOp defines them.
-- The bits themselves are the host's: `bits(operation, a, b)` on numbers.

local bits = ...

local function number(value, position, name)
    local converted = tonumber(value)
    if not converted then
        local got = value == nil and "no value" or type(value)
        local expected = "number expected, got " .. got
        error("bad argument #" .. position .. " to '" .. name .. "' (" .. expected .. ")")
    end
    return converted
end

local function folding(name)
    return function(first, ...)
        local total = bits("tobit", number(first, 1, name), 0)
        for index = 1, select("#", ...) do
            total = bits(name, total, number((select(index, ...)), index + 1, name))
        end
        return total
    end
end

local function unary(name)
    return function(value)
        return bits(name, number(value, 1, name), 0)
    end
end

local function shifting(name)
    return function(value, distance)
        return bits(name, number(value, 1, name), number(distance, 2, name))
    end
end

local function tohex(value, digits)
    local whole = bits("tobit", number(value, 1, "tohex"), 0) % 2 ^ 32
    digits = digits == nil and 8 or bits("tobit", number(digits, 2, "tohex"), 0)
    local text = string.format(digits < 0 and "%08X" or "%08x", whole)
    digits = math.min(math.abs(digits), 8)
    return text:sub(9 - digits)
end

return {
    tobit = unary("tobit"),
    bnot = unary("bnot"),
    bswap = unary("bswap"),
    band = folding("band"),
    bor = folding("bor"),
    bxor = folding("bxor"),
    lshift = shifting("lshift"),
    rshift = shifting("rshift"),
    arshift = shifting("arshift"),
    rol = shifting("rol"),
    ror = shifting("ror"),
    tohex = tohex,
}
