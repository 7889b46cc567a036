-- Take one of ARGV[1] places in the sorted set at KEYS[1] for ARGV[2] ms under the name ARGV[3]; a
-- name that has a place keeps it for as long again. Gives 1 or 0 for taken, the places left, and
-- the us until the first lease ends.
local limit, lease, name = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000, ARGV[3]
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", string.format("%.0f", now))
local taken = redis.call("ZCARD", KEYS[1])
local mine = redis.call("ZSCORE", KEYS[1], name)
local admitted = mine or taken < limit
if admitted then
    redis.call("ZADD", KEYS[1], string.format("%.0f", now + lease), name)
    local last = redis.call("ZRANGE", KEYS[1], -1, -1, "WITHSCORES")
    redis.call("PEXPIRE", KEYS[1], math.floor((tonumber(last[2]) - now) / 1000) + 1)
    taken = mine and taken or taken + 1
end
local first, wait = redis.call("ZRANGE", KEYS[1], 0, 0, "WITHSCORES"), 0
if first[2] then
    wait = tonumber(first[2]) - now
end
return {admitted and 1 or 0, math.max(0, limit - taken), wait}
