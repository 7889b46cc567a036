-- Append to the stream KEYS[1] an entry with the id ARGV[2] and the body ARGV[3], and give where it
-- stands; or false where the stream holds ARGV[1] entries.
if redis.call("XLEN", KEYS[1]) >= tonumber(ARGV[1]) then
    return false
end
return redis.call("XADD", KEYS[1], "*", "id", ARGV[2], "body", ARGV[3])
