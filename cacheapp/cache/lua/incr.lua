-- Add ARGV[1] to the integer at KEYS[1] and keep its deadline. A missing key gives nil, unless
-- ARGV[2] is "1". The sum comes back as text: a Lua number is exact only up to 2^53.
if ARGV[2] ~= "1" and redis.call("EXISTS", KEYS[1]) == 0 then
    return false
end
redis.call("INCRBY", KEYS[1], ARGV[1])
return redis.call("GET", KEYS[1])
