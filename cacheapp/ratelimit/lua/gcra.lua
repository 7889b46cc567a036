-- The generic cell rate algorithm: a rate is the time at which all of it would be back. KEYS[1]
-- holds that time (us) for each rate, as doubles. ARGV: cost, "1" to charge in any case, then
-- limit and period (us) a rate. Gives 1 or 0 for admitted, the time (us), and the doubles as they
-- are now.
local cost, forced, rates = tonumber(ARGV[1]), ARGV[2] == "1", (#ARGV - 2) / 2
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local held = redis.call("GET", KEYS[1])
local known = held and #held == 8 * rates
local times, charges, admitted, longest = {}, {}, true, 0
for i = 1, rates do
    local limit, period = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    times[i] = math.max(now, known and struct.unpack("<d", held, 8 * i - 7) or now)
    charges[i] = times[i] + cost * (period / limit)
    -- Half a microsecond: what adding period / limit as often as that may be off by.
    admitted = admitted and charges[i] - now <= period + 0.5
    longest = math.max(longest, charges[i] - now)
end
local charged, state = forced or (admitted and cost ~= 0), ""
for i = 1, rates do
    state = state .. struct.pack("<d", charged and math.max(now, charges[i]) or times[i])
end
if charged then
    redis.call("SET", KEYS[1], state, "PX", math.floor(longest / 1000) + 1)
end
return {admitted and 1 or 0, now, state}
