-- Tells the process that owns a channel that the channel is in a group now, or is no longer.
--
-- KEYS: the group's stream, the process's stream.
-- ARGV: "j" to join or "l" to leave, group, channel, entries that the group keeps (about), when.
-- Returns the number of the entry in the process's stream, or 0 where the process is not there.
--
-- The group's stream gets an entry too. Its number says which messages are the channel's, and who
-- has read that far in the group has read, in the same XREAD, what the process was told.

if redis.call("EXISTS", KEYS[2]) == 0 then
  return 0
end
local verb, group, channel, history = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local marked = redis.pcall(
  "XADD", KEYS[1], "NOMKSTREAM", "MAXLEN", "~", history, "1-*", verb, channel
)
local number = type(marked) == "string" and string.match(marked, "^1%-(%d+)$") or "0"
local told = redis.call(
  "XADD", KEYS[2], "1-*", verb, group, "c", channel, "s", number, "t", ARGV[5]
)
return tonumber(string.match(told, "%-(%d+)$"))
