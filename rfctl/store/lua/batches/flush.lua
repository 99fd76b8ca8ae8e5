-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/item, shared/batch
-- Hands one batch over now, whatever its due time.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)
-- ARGV  1 batch prefix   2 last-msg prefix   3 separator   4 order: arrival|sent   5 overdue_ms   6 events channel
--       7 batch key   8 reason
-- Returns the entry's id and its number of messages, or nothing when there is no batch.
local due = tonumber(redis.call('ZSCORE', DUE, ARGV[7]) or NOW)
local id, size = hand_over(ARGV[7], ARGV[8], math.min(due, NOW))
write_counts()
return id and { id, size } or {}
