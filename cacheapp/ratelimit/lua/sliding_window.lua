-- Two counters a rate: this window's, and the last one's by the share of it that the period still
-- covers. KEYS[1] holds index, current and previous count for each rate, as doubles, until the next
-- window is over. ARGV: cost, "1" to charge in any case, then limit and period (us) a rate. Gives 1
-- or 0 for admitted, the time (us), and the doubles as they are now.
local cost, forced, rates = tonumber(ARGV[1]), ARGV[2] == "1", (#ARGV - 2) / 2
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local held = redis.call("GET", KEYS[1])
local known = held and #held == 24 * rates
local indexes, currents, previouses, admitted, longest = {}, {}, {}, true, 0
for i = 1, rates do
    local limit, period = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    local now_index = math.floor(now / period)
    local index, current, previous = now_index, 0, 0
    if known then
        index, current, previous = struct.unpack("<ddd", held, 24 * i - 23)
        if not (index <= now_index + 1) then
            -- The clock was put back by more than a moment: what counted then is over.
            index, current, previous = now_index, 0, 0
        elseif now_index > index then
            previous = now_index == index + 1 and current or 0
            index, current = now_index, 0
        end
    end
    local elapsed = math.max(0, now - index * period)
    local left = limit - current - cost - previous * (1 - elapsed / period)
    admitted = admitted and left >= 0
    indexes[i], currents[i], previouses[i] = index, current, previous
    longest = math.max(longest, (index + 2) * period / 1000)
end
local charged, state = forced or (admitted and cost ~= 0), ""
for i = 1, rates do
    local current = charged and math.max(0, currents[i] + cost) or currents[i]
    state = state .. struct.pack("<ddd", indexes[i], current, previouses[i])
end
if charged then
    redis.call("SET", KEYS[1], state, "PX", longest - math.floor(now / 1000))
end
return {admitted and 1 or 0, now, state}
