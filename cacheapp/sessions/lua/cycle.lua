-- Move the session at KEYS[1] to KEYS[2], sealed anew, if it still holds what the caller read.
-- ARGV: its life in ms, how many fields it holds, each with its value, then as many for the new
-- key, and the session's name in the index at KEYS[3], if there is one. Gives 1 if it was done, 0
-- if something else is there now, -1 if nothing is.
local life, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local size = redis.call("HLEN", KEYS[1])
if size == 0 then
    return -1
end
if size ~= count or redis.call("EXISTS", KEYS[2]) == 1 then
    return 0
end
for i = 1, count do
    if redis.call("HGET", KEYS[1], ARGV[2 * i + 1]) ~= ARGV[2 * i + 2] then
        return 0
    end
end
local place = 2 * count + 3
for i = 1, tonumber(ARGV[place]) do
    redis.call("HSET", KEYS[2], ARGV[place + 2 * i - 1], ARGV[place + 2 * i])
end
redis.call("PEXPIRE", KEYS[2], life)
redis.call("DEL", KEYS[1])
if KEYS[3] then
    redis.call("ZREM", KEYS[3], ARGV[#ARGV])
end
return 1
