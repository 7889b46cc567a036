-- End the write with the token ARGV[1] at KEYS[1]. If no other was open beside it and nobody
-- touched the key, ARGV[2] is put there for ARGV[3] milliseconds (0: for ever, -1: not at all) and
-- the reply is 1. Otherwise the key is missing when the last open write has ended: nobody knows
-- which of the writes was committed last, but the database.
if redis.call("GETRANGE", KEYS[1], 0, 0) ~= "w" then
    redis.call("DEL", KEYS[1])
    return 0
end
local found = redis.call("GET", KEYS[1])
local shared, others, mine = string.sub(found, 2, 2), "", false
for position = 3, #found, 16 do
    local token = string.sub(found, position, position + 15)
    if token == ARGV[1] then
        mine = true
    else
        others = others .. token
    end
end
if others ~= "" then
    redis.call("SET", KEYS[1], "w1" .. others, "KEEPTTL")
    return 0
end
if not mine or shared == "1" or ARGV[3] == "-1" then
    redis.call("DEL", KEYS[1])
    return 0
end
if ARGV[3] == "0" then
    redis.call("SET", KEYS[1], ARGV[2])
else
    redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
end
return 1
