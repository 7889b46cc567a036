-- Take a fill lease at KEYS[1], if what is there is still what the caller saw: its SHA1 is ARGV[1],
-- or ARGV[1] is "" and nothing is there. ARGV[2] is the lease's token, ARGV[3] its milliseconds.
-- With ARGV[4] "1" what is there stays inside the lease, with the time that it has left; for that
-- it needs a deadline. Gives 1 if the lease was taken.
local found = redis.call("GET", KEYS[1])
if (found and redis.sha1hex(found) or "") ~= ARGV[1] then
    return 0
end
local lease_ms = tonumber(ARGV[3])
local ttl_ms = found and redis.call("PTTL", KEYS[1]) or 0
local held, extra_ms = "", 0
if ARGV[4] == "1" and ttl_ms > 0 then
    held = found
    if string.sub(found, 1, 1) == "l" then
        -- A lease that lapsed: what it kept moves into this one.
        local pattern = "^l" .. string.rep("%x", 16) .. "(%d+) (%d+) (.*)$"
        local extra, _, inner = string.match(found, pattern)
        held, extra_ms = inner or "", tonumber(extra or 0)
    end
end
local total_ms = math.max(ttl_ms, lease_ms)
if held == "" then
    total_ms, extra_ms = lease_ms, 0
else
    extra_ms = extra_ms + total_ms - ttl_ms
end
local head = string.format("l%s%.0f %.0f ", ARGV[2], extra_ms, total_ms - lease_ms)
redis.call("SET", KEYS[1], head .. held, "PX", total_ms)
return 1
