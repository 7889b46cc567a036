-- Count in windows that begin at multiples of their period. KEYS[1] holds index and count for each
-- rate, as doubles. ARGV: cost, "1" to charge in any case, then limit and period (us) a rate.
-- Gives 1 or 0 for admitted, the time (us), and the doubles as they are now.
local cost, forced, rates = tonumber(ARGV[1]), ARGV[2] == "1", (#ARGV - 2) / 2
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local held = redis.call("GET", KEYS[1])
local known = held and #held == 16 * rates
local indexes, counts, admitted, longest = {}, {}, true, 0
for i = 1, rates do
    local limit, period = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    local index, count = math.floor(now / period), 0
    if known then
        local held_index, held_count = struct.unpack("<dd", held, 16 * i - 15)
        if held_index >= index and held_index <= index + 1 then
            -- Later than that, and the clock was put back: what counted then is over.
            index, count = held_index, held_count
        end
    end
    admitted = admitted and count + cost <= limit
    indexes[i], counts[i] = index, count
    longest = math.max(longest, (index + 1) * period - now)
end
local charged, state = forced or (admitted and cost ~= 0), ""
for i = 1, rates do
    local count = charged and math.max(0, counts[i] + cost) or counts[i]
    state = state .. struct.pack("<dd", indexes[i], count)
end
if charged then
    redis.call("SET", KEYS[1], state, "PX", math.floor(longest / 1000) + 1)
end
return {admitted and 1 or 0, now, state}
