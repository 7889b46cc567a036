-- The times (us) of what was admitted, newest first, in the list at KEYS[1]; one list serves all
-- rates. ARGV: cost, "1" to charge in any case, then limit and period (us) a rate. Gives 1 or 0
-- for admitted, the time (us), and as doubles for each rate: how many are within the period, the
-- newest, and the one that has to leave it before the cost is admitted (0 for none).
local key, cost, forced, rates = KEYS[1], tonumber(ARGV[1]), ARGV[2] == "1", (#ARGV - 2) / 2
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local widest, deepest = 0, 0
for i = 1, rates do
    deepest = math.max(deepest, tonumber(ARGV[2 * i + 1]))
    widest = math.max(widest, tonumber(ARGV[2 * i + 2]))
end
local size = redis.call("LLEN", key)

-- How many entries are within the last `period`: they are the first ones.
local function within(period)
    local low, high = 0, size
    while low < high do
        local middle = math.floor((low + high) / 2)
        if tonumber(redis.call("LINDEX", key, middle)) > now - period then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

if size > 0 and tonumber(redis.call("LINDEX", key, -1)) <= now - widest then
    size = within(widest)
    if size == 0 then
        redis.call("DEL", key)
    else
        redis.call("LTRIM", key, 0, size - 1)
    end
end
local admitted, counts, blockers = true, {}, {}
for i = 1, rates do
    local limit, period = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    counts[i], blockers[i] = period == widest and size or within(period), 0
    if counts[i] + cost > limit then
        admitted = false
        if cost <= limit then
            blockers[i] = tonumber(redis.call("LINDEX", key, limit - cost))
        end
    end
end
local charged = forced or (admitted and cost ~= 0)
if charged then
    for _ = 1, cost do
        redis.call("LPUSH", key, string.format("%.0f", now))
    end
    for _ = 1, math.min(-cost, size) do
        redis.call("LPOP", key)
    end
    redis.call("LTRIM", key, 0, deepest - 1)
    redis.call("PEXPIRE", key, math.floor(widest / 1000) + 1)
end
local newest, state = tonumber(redis.call("LINDEX", key, 0) or 0), ""
for i = 1, rates do
    local count = charged and math.max(0, counts[i] + cost) or counts[i]
    state = state .. struct.pack("<ddd", count, newest, blockers[i])
end
return {admitted and 1 or 0, now, state}
