-- Take fill leases with the token ARGV[1] and ARGV[2] milliseconds at KEYS. For each key there are
-- two more arguments. The first is the SHA1 of what the caller saw, or "" for nothing: a lease is
-- given only where that is still there. With "1" as the second, what is there stays inside the
-- lease, with the time that it has left; for that it needs a deadline. Gives 1 or 0 for each key;
-- also 1 where the lease is there already, since a client asks again if it lost the reply.
local lease_ms = tonumber(ARGV[2])
-- A lease that lapsed: what it kept moves into the new one.
local pattern = "^l" .. string.rep("%x", 16) .. "(%d+) (%d+) (.*)$"
local taken = {}
for index, key in ipairs(KEYS) do
    local found = redis.call("GET", key)
    if found and string.sub(found, 1, 17) == "l" .. ARGV[1] then
        taken[index] = 1
    elseif (found and redis.sha1hex(found) or "") ~= ARGV[2 * index + 1] then
        taken[index] = 0
    else
        local ttl_ms = found and redis.call("PTTL", key) or 0
        local held, extra_ms = "", 0
        if ARGV[2 * index + 2] == "1" and ttl_ms > 0 then
            held = found
            if string.sub(found, 1, 1) == "l" then
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
        local head = string.format("l%s%.0f %.0f ", ARGV[1], extra_ms, total_ms - lease_ms)
        redis.call("SET", key, head .. held, "PX", total_ms)
        taken[index] = 1
    end
end
return taken
