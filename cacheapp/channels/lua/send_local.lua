-- Sends to a channel of one process, whose messages all go through that process's stream.
--
-- KEYS: the process's stream, its set of full channels.
-- ARGV: channel, stamped message, "1" where the process sends to itself, entries at most.
-- Returns 1; 0 where the channel is full or the process behind with reading; -1 where the process
-- is not there.

if redis.call("SISMEMBER", KEYS[2], ARGV[1]) == 1 then
  return 0
end
if redis.call("XLEN", KEYS[1]) >= tonumber(ARGV[4]) then
  return 0
end
local sent = redis.call(
  "XADD", KEYS[1], "NOMKSTREAM", "1-*", "m", ARGV[2], "c", ARGV[1], "o", ARGV[3]
)
return sent and 1 or -1
