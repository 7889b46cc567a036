-- Write what changed of the session at KEYS[1], if it may be written. ARGV: "create" (it must not
-- exist), "update" (it must) or "replace" (it must, and nothing else of it stays); its life in ms;
-- how many fields are set, each with its value; how many are deleted, each. Then, with an index at
-- KEYS[2]: the session's name there, the ms for which it stays there, how many sessions a user may
-- have (0: any number), and what the keys of sessions begin with. Gives 1 or 0 for written, and
-- the names of the sessions that had to go.
local mode, life, place = ARGV[1], tonumber(ARGV[2]), 3
-- PEXPIRE says whether the session exists, and deletes it where its life is over.
local exists = redis.call("PEXPIRE", KEYS[1], life) == 1
if exists == (mode == "create") then
    return {0}
end
if life <= 0 then
    return {1}
end
if mode == "replace" then
    redis.call("DEL", KEYS[1])
end
local sets = tonumber(ARGV[place])
for i = 1, sets do
    redis.call("HSET", KEYS[1], ARGV[place + 2 * i - 1], ARGV[place + 2 * i])
end
place = place + 2 * sets + 1
local deletions = tonumber(ARGV[place])
for i = 1, deletions do
    redis.call("HDEL", KEYS[1], ARGV[place + i])
end
place = place + deletions + 1
if mode ~= "update" then
    redis.call("PEXPIRE", KEYS[1], life)
end
local gone = {1}
if KEYS[2] then
    local name, stay = ARGV[place], tonumber(ARGV[place + 1])
    local most, head = tonumber(ARGV[place + 2]), ARGV[place + 3]
    local time = redis.call("TIME")
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", now)
    redis.call("ZADD", KEYS[2], now + stay, name)
    local last = redis.call("ZRANGE", KEYS[2], -1, -1, "WITHSCORES")
    redis.call("PEXPIRE", KEYS[2], math.max(1, tonumber(last[2]) - now))
    if most > 0 and redis.call("ZCARD", KEYS[2]) > most then
        -- Those that were logged out are still there, and do not count.
        local others = {}
        for _, other in ipairs(redis.call("ZRANGE", KEYS[2], 0, -1)) do
            if redis.call("EXISTS", head .. other) == 0 then
                redis.call("ZREM", KEYS[2], other)
            elseif other ~= name then
                others[#others + 1] = other
            end
        end
        for i = 1, #others + 1 - most do
            redis.call("ZREM", KEYS[2], others[i])
            redis.call("DEL", head .. others[i])
            gone[#gone + 1] = others[i]
        end
    end
end
return gone
