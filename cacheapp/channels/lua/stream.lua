-- Opens the streams that are missing, and makes all of them live `ttl` seconds, or nearly so.
--
-- KEYS: streams.  ARGV: ttl in seconds; "1" to open what is missing.
-- Returns for each the number of its last entry as text; "" where it is missing still, "!" where
-- something else is at the key. A stream with other numbers than 1-n is deleted: it is not ours.

local ttl, opens = ARGV[1], ARGV[2] == "1"
local found = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call("TYPE", key).ok
  local last = ""
  if kind == "stream" then
    local info = redis.call("XINFO", "STREAM", key)
    for j = 1, #info, 2 do
      if info[j] == "last-generated-id" then
        last = string.match(info[j + 1], "^1%-(%d+)$") or ""
      end
    end
    if last == "" then
      redis.call("UNLINK", key)
      kind = "none"
    end
  end
  if kind == "none" and opens then
    local now = redis.call("TIME")
    last = string.format("%d%06d", now[1], now[2])
    redis.call("XADD", key, "1-" .. last, "opened", "1")
    redis.call("EXPIRE", key, ttl)
  elseif kind == "stream" then
    -- Not each time: that is a change, of which those who watch many streams are told.
    if redis.call("TTL", key) < ttl * 0.75 then
      redis.call("EXPIRE", key, ttl, "GT")
    end
  elseif kind ~= "none" then
    last = "!"
  end
  found[i] = last
end
return found
