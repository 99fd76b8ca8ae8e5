-- flags=allow-oom: it frees memory
-- Hands one batch over now, whatever its due time.
-- ARGV  7 name   8 reason
-- Returns the entry's id and its number of messages, or nothing when there is no batch.
local due = tonumber(redis.call('ZSCORE', DUE, ARGV[7]) or NOW)
local id, size = merge(ARGV[7], ARGV[8], math.min(due, NOW))
write_counts()
return id and { id, size } or {}
