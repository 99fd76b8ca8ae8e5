-- flags=allow-oom: without it nothing behind the message goes on, and no memory is freed
-- include: shared/clock, shared/delivery
-- The last attempt has failed: the message becomes a dead letter, with its history; those behind it go on.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
--       8 dead letters (stream)
-- ARGV  1 consumer group   2 sink
--       3 batch key   4 id   5 what went wrong, as a JSON string   6… the fields of the message, at most 7000
-- Returns the id of the next message that waits for this batch key, or ''.
if is_left(ARGV[4]) then
  local attempts = history(ARGV[4], ARGV[5])
  redis.call('XADD', KEYS[8], '*', 'sink', SINK, 'id', ARGV[4], 'tries', attempts, unpack(ARGV, 6))
  count('failures')
  count('dead')
  note('ended_ms')
end
take(ARGV[3], ARGV[4])
return next_of(ARGV[3])
