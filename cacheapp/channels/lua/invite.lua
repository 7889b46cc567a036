-- Tells the process that owns a channel that the channel is in a group now, or is no longer.
--
-- KEYS: the group's stream, the process's stream.
-- ARGV: "j" to join or "l" to leave, group, channel, number of the group's last entry.
-- Returns 1, or 0 where the process is not there.

if redis.call("EXISTS", KEYS[2]) == 0 then
  return 0
end
redis.call("XADD", KEYS[2], "1-*", ARGV[1], ARGV[2], "c", ARGV[3], "s", ARGV[4])
return 1
