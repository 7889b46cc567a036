-- What a channel that belongs to no process keeps on the server: one script, four verbs.
--
-- KEYS: list of messages, hash of the groups it is in, set of the processes that wait for it; to
--   take and give back, the list of what this process did last: the number of the step, messages.
-- ARGV: verb, expiry in ms, capacity, the beginning of groups' keys, that of processes' keys, the
--   channel, and then for
--   "send": the packed message                -> 1, or 0 where the channel is full
--   "take": the step, how many, the process   -> {messages, groups, their numbers}
--   "back": the step, messages, oldest first  -> 1
--   "join": group, last number, ms to stay    -> 1
--   "leave": group                            -> 1
-- A message in the list has 16 digits before it, the microseconds at which it was sent. A group of
-- the hash maps to "number:ms": how far its stream was read for this channel, and until when it
-- is in. Messages of groups are fetched here, when somebody sends or takes, in that order.

local verb, expiry, capacity = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local group_prefix, process_prefix, channel = ARGV[4], ARGV[5], ARGV[6]
local time = redis.call("TIME")
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

local function drop_expired()
  local first = redis.call("LINDEX", KEYS[1], 0)
  while first and tonumber(string.sub(first, 1, 16)) + expiry * 1000 <= now_us do
    redis.call("LPOP", KEYS[1])
    first = redis.call("LINDEX", KEYS[1], 0)
  end
end

local function keep()
  redis.call("PEXPIRE", KEYS[1], expiry)
end

-- Adds to `found` what a group got since it was read for this channel.
local function read_group(found, group, state)
  local number, ends = string.match(state, "^(%d+):(%d+)$")
  if tonumber(ends) <= now then
    redis.call("HDEL", KEYS[2], group)
    return
  end
  local entries = redis.call("XRANGE", group_prefix .. group, "(1-" .. number, "+")
  for _, entry in ipairs(entries) do
    if entry[2][1] == "m" then
      table.insert(found, {string.sub(entry[2][2], 1, 16), #found, entry[2][2]})
    end
    number = string.match(entry[1], "%-(%d+)$")
  end
  if #entries > 0 then
    redis.call("HSET", KEYS[2], group, number .. ":" .. ends)
  end
end

local function sent_before(one, other)
  if one[1] == other[1] then
    return one[2] < other[2]
  end
  return one[1] < other[1]
end

local function fetch_groups()
  local states = redis.call("HGETALL", KEYS[2])
  local found = {}
  for i = 1, #states, 2 do
    read_group(found, states[i], states[i + 1])
  end
  if #found == 0 then
    return
  end
  table.sort(found, sent_before)
  local room = capacity - redis.call("LLEN", KEYS[1])
  for i = 1, math.min(room, #found) do
    redis.call("RPUSH", KEYS[1], found[i][3])
  end
  drop_expired()
  keep()
end

-- A step whose answer was lost comes again with its number.
local function was_done(step)
  return redis.call("LINDEX", KEYS[4], 0) == step
end

local function remember(step, messages)
  redis.call("DEL", KEYS[4])
  redis.call("RPUSH", KEYS[4], step)
  for _, message in ipairs(messages) do
    redis.call("RPUSH", KEYS[4], message)
  end
  redis.call("PEXPIRE", KEYS[4], expiry)
end

local function wake()
  for _, process in ipairs(redis.call("SMEMBERS", KEYS[3])) do
    redis.call("XADD", process_prefix .. process, "NOMKSTREAM", "1-*", "w", channel)
  end
  redis.call("DEL", KEYS[3])
end

drop_expired()
if verb == "send" then
  fetch_groups()
  if redis.call("LLEN", KEYS[1]) >= capacity then
    return 0
  end
  redis.call("RPUSH", KEYS[1], string.format("%016.0f", now_us) .. ARGV[7])
  keep()
  wake()
elseif verb == "take" then
  local messages
  if was_done(ARGV[7]) then
    messages = redis.call("LRANGE", KEYS[4], 1, -1)
  else
    fetch_groups()
    messages = redis.call("LPOP", KEYS[1], ARGV[8]) or {}
    if #messages > 0 then
      remember(ARGV[7], messages)
    end
  end
  local groups, numbers = {}, {}
  if #messages < tonumber(ARGV[8]) then
    redis.call("SADD", KEYS[3], ARGV[9])
    redis.call("PEXPIRE", KEYS[3], 600000)
    local states = redis.call("HGETALL", KEYS[2])
    for i = 1, #states, 2 do
      table.insert(groups, states[i])
      table.insert(numbers, string.match(states[i + 1], "^(%d+)"))
    end
  end
  return {messages, groups, numbers}
elseif verb == "back" then
  if was_done(ARGV[7]) then
    return 1
  end
  for i = #ARGV, 8, -1 do
    redis.call("LPUSH", KEYS[1], ARGV[i])
  end
  remember(ARGV[7], {})
  keep()
  wake()
elseif verb == "join" then
  -- What it is owed as a member since before.
  fetch_groups()
  local state = redis.call("HGET", KEYS[2], ARGV[7])
  local number = state and string.match(state, "^(%d+)") or "0"
  if tonumber(number) < tonumber(ARGV[8]) then
    number = ARGV[8]
  end
  redis.call("HSET", KEYS[2], ARGV[7], number .. ":" .. string.format("%.0f", now + ARGV[9]))
  redis.call("PEXPIRE", KEYS[2], ARGV[9])
  redis.call("PEXPIRE", group_prefix .. ARGV[7], ARGV[9], "GT")
  wake()
elseif verb == "leave" then
  -- What was sent before belongs to the channel.
  fetch_groups()
  redis.call("HDEL", KEYS[2], ARGV[7])
end
return 1
