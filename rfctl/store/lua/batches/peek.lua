-- flags=no-writes: it only looks
-- include: shared/clock
-- Reads one batch at one moment.
-- KEYS  1 index of due times   2 the batch
-- ARGV  1 batch key
-- Returns now (Unix ms), due (Unix ms, -1: none), then the items, oldest first.
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
local answer = { NOW, tonumber(due or -1) }
for _, item in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do table.insert(answer, item) end
return answer
