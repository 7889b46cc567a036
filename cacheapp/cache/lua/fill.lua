-- Put ARGV[3], ARGV[4] and so on at KEYS, for ARGV[2] milliseconds (0: for ever), each where the
-- fill lease with the token ARGV[1] is still there. Gives how many: where it is gone, somebody
-- wrote or deleted meanwhile.
local filled = 0
for index, key in ipairs(KEYS) do
    if redis.call("GETRANGE", key, 0, 16) == "l" .. ARGV[1] then
        if ARGV[2] == "0" then
            redis.call("SET", key, ARGV[index + 2])
        else
            redis.call("SET", key, ARGV[index + 2], "PX", ARGV[2])
        end
        filled = filled + 1
    end
end
return filled
