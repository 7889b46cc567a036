-- Begin a write at KEYS[1]: whatever is there gives way to a write lease of ARGV[2] milliseconds
-- with the token ARGV[1]. Where other writes are open the token joins theirs, the longest lease
-- counts, and the "1" before the tokens says that more than one was open: then none of them knows
-- the order of commits.
local found = redis.call("GETRANGE", KEYS[1], 0, 0) == "w" and redis.call("GET", KEYS[1])
local lease_ms = tonumber(ARGV[2])
if found then
    lease_ms = math.max(lease_ms, redis.call("PTTL", KEYS[1]))
    found = "w1" .. string.sub(found, 3) .. ARGV[1]
else
    found = "w0" .. ARGV[1]
end
redis.call("SET", KEYS[1], found, "PX", string.format("%.0f", lease_ms))
return 1
