-- Take the lock at KEYS[1] with the token ARGV[1] for ARGV[2] milliseconds, if it is free. Gives
-- its fencing number, kept at KEYS[2]: larger than any before, since it is at least the time in
-- microseconds, so that a lost counter does not begin anew. Where the lock is held: zero, or the
-- milliseconds that it has left, negative. Held with this token it is taken again, since a client
-- asks again if it lost the reply.
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then
    return -math.max(redis.call("PTTL", KEYS[1]), 0)
end
local time = redis.call("TIME")
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local fence = math.max(tonumber(redis.call("GET", KEYS[2]) or 0) + 1, now_us)
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
redis.call("SET", KEYS[2], string.format("%.0f", fence), "PX", ARGV[2] + 86400000)
return fence
