-- Put ARGV[2] at KEYS[1] and keep its deadline, if it still holds ARGV[1]. Gives 1 if it did.
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call("SET", KEYS[1], ARGV[2], "KEEPTTL")
return 1
