-- A bucket of `limit` tokens a rate, filled evenly over the period. KEYS[1] holds the tokens and
-- when they were counted (us) for each rate, as doubles. ARGV: cost, "1" to charge in any case,
-- then limit and period (us) a rate. Gives 1 or 0 for admitted, the time (us), and the doubles as
-- they are now.
local cost, forced, rates = tonumber(ARGV[1]), ARGV[2] == "1", (#ARGV - 2) / 2
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local held = redis.call("GET", KEYS[1])
local known = held and #held == 16 * rates
local tokens, admitted, longest = {}, true, 0
for i = 1, rates do
    local limit, period = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    tokens[i] = limit
    if known then
        local left, at = struct.unpack("<dd", held, 16 * i - 15)
        tokens[i] = math.min(limit, left + math.max(0, now - at) * (limit / period))
    end
    -- A millionth of a token: what filling in small steps may be off by.
    admitted = admitted and tokens[i] + 0.000001 >= cost
    longest = math.max(longest, (limit - tokens[i] + cost) * (period / limit))
end
local charged, state = forced or (admitted and cost ~= 0), ""
for i = 1, rates do
    local left = charged and math.min(tonumber(ARGV[2 * i + 1]), tokens[i] - cost) or tokens[i]
    state = state .. struct.pack("<dd", left, now)
end
if charged then
    redis.call("SET", KEYS[1], state, "PX", math.max(0, math.floor(longest / 1000)) + 1)
end
return {admitted and 1 or 0, now, state}
