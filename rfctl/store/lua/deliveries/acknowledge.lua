-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/delivery
-- A message was delivered, or is missing: it is acknowledged and forgotten.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
-- ARGV  1 consumer group   2 sink
--       3 batch key   4 id   5 delivered | missing
-- Returns the id of the next message that waits for this batch key, or ''.
if take(ARGV[3], ARGV[4]) then
  count(ARGV[5])
  note(ARGV[5] == 'missing' and 'missing_ms' or 'ended_ms')
end
return next_of(ARGV[3])
