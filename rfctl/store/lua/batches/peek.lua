-- flags=no-writes: it only looks
-- Reads one batch at one moment. It goes by no clock: a clock that has jumped is settled by a write.
-- KEYS  1 index of due times   2 the batch   3 until when batches are held (zset)
-- ARGV  1 batch key
-- Returns due (Unix ms, -1: none), until when it is held (Unix ms, -1: it is not), then the items, oldest first.
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
local answer = { tonumber(due or -1), tonumber(redis.call('ZSCORE', KEYS[3], ARGV[1]) or -1) }
for _, item in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do table.insert(answer, item) end
return answer
