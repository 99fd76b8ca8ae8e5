-- flags=allow-oom: it takes no memory, and what is delivered frees some
-- include: shared/clock
-- A retry that is further away than any wait can be was written at another time: it is due after the longest wait.
-- KEYS  1 retry (zset, batch key → when, Unix ms)
-- ARGV  1 the longest wait, ms
-- Returns how many were clamped, up to 1000 a call.
local last_due = whole(NOW + tonumber(ARGV[1]))
local later = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. last_due .. '.9', '+inf', 'LIMIT', 0, 1000)
for _, batch_key in ipairs(later) do redis.call('ZADD', KEYS[1], last_due, batch_key) end
return #later
