-- Let the lock at KEYS[1] live ARGV[2] milliseconds from now on, if the token ARGV[1] holds it.
-- Gives 1 if it did.
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call("PEXPIRE", KEYS[1], ARGV[2])
