-- End the fill leases with the token ARGV[1] at KEYS, where they are still there, without a new
-- value: what one kept comes back with the time that it has left. Gives how many there were.
local ended = 0
for _, key in ipairs(KEYS) do
    if redis.call("GETRANGE", key, 0, 16) == "l" .. ARGV[1] then
        local found = redis.call("GET", key)
        local pattern = "^l" .. string.rep("%x", 16) .. "(%d+) (%d+) (.*)$"
        local extra_ms, _, held = string.match(found, pattern)
        local left_ms = redis.call("PTTL", key) - tonumber(extra_ms or 0)
        if held and held ~= "" and left_ms > 0 then
            redis.call("SET", key, held, "PX", left_ms)
        else
            redis.call("DEL", key)
        end
        ended = ended + 1
    end
end
return ended
