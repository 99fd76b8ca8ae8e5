-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/delivery
-- A message was delivered: it is acknowledged and forgotten.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
-- ARGV  1 consumer group   2 sink
--       3 batch key   4 id
-- Returns the id of the next message that waits for this phone, or ''.
if take(ARGV[3], ARGV[4]) then count('delivered') end
return next_of(ARGV[3])
