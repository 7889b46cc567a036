-- Free the lock at KEYS[1], if the token ARGV[1] holds it. Gives 1 if it did.
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call("DEL", KEYS[1])
