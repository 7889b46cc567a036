-- End the fill leases with the token ARGV[1] at KEYS, where they are still there. For each key
-- there are two more arguments: the milliseconds for which the value is kept (0: for ever, -1:
-- there is none, and the key goes), and the value. Gives 1 or 0 for each: where the lease is gone,
-- wrote or deleted meanwhile.
local filled = {}
for index, key in ipairs(KEYS) do
    filled[index] = 0
    if redis.call("GETRANGE", key, 0, 16) == "l" .. ARGV[1] then
        local ttl_ms, value = ARGV[2 * index], ARGV[2 * index + 1]
        if ttl_ms == "-1" then
            redis.call("DEL", key)
        elseif ttl_ms == "0" then
            redis.call("SET", key, value)
        else
            redis.call("SET", key, value, "PX", ttl_ms)
        end
        filled[index] = 1
    end
end
return filled
