-- flags=allow-oom: without it nothing behind the message goes on, and no memory is freed
-- include: shared/clock, shared/delivery, shared/delivery_log
-- The last attempt has failed: the message becomes a dead letter, with its history; those behind it go on.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
--       8 delivery log (stream)   9 dead letters (stream)
-- ARGV  1 consumer group   2 sink   3 1: the log is written | ''
--       4 batch key   5 id   6 phone ('': the batch key is it)   7 attempts, with the last one
--       8 how long that one took, ms, or ''   9 what went wrong, as a JSON string
--       10… the fields of the message, at most 7000
-- Returns the id of the next message that waits for this batch key, or ''.
local batch_key, id = ARGV[4], ARGV[5]
if is_left(id) then
  local attempts = history(id, ARGV[9])
  redis.call('XADD', KEYS[9], '*', 'sink', SINK, 'id', id, 'tries', attempts, unpack(ARGV, 10))
  count('failures')
  count('dead')
  note('ended_ms')
end
if take(batch_key, id) then log('dead', id, batch_key, ARGV[6], ARGV[7], ARGV[8]) end
return next_of(batch_key)
