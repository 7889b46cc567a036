-- Put ARGV[2] at KEYS[2] with the deadline of KEYS[1], and remove KEYS[1], if that still holds
-- ARGV[1]. Gives 1 if it did.
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
local ttl_ms = redis.call("PTTL", KEYS[1])
if ttl_ms >= 0 then
    redis.call("SET", KEYS[2], ARGV[2], "PX", math.max(ttl_ms, 1))
else
    redis.call("SET", KEYS[2], ARGV[2])
end
if KEYS[1] ~= KEYS[2] then
    redis.call("DEL", KEYS[1])
end
return 1
