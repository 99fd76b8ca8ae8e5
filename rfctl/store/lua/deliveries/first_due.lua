-- flags=allow-oom: without it nothing that waits is delivered, and no memory is freed
-- include: shared/clock, shared/delivery
-- Finds the message that a batch key is due to be tried with. A right that is missing is found before the attempt.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
-- ARGV  1 consumer group   2 sink
--       3 batch key
-- Returns the id of the first message that waits for it, or '' when none waits or its retry is not due.
local due = redis.call('ZSCORE', RETRY, ARGV[3])
return due and tonumber(due) <= NOW and first_of(ARGV[3]) or ''
