-- include: shared/clock, shared/delivery
-- The last attempt has failed: the message becomes a dead letter, with its history; those behind it go on.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 dead letters (stream)
-- ARGV  1 consumer group   2 sink
--       3 batch key   4 id   5 what went wrong, as a JSON string   6… the fields of the message
-- Returns the id of the next message that waits for this phone, or ''.
-- Without memory nothing is taken off, and it is tried again.
redis.call('XLEN', KEYS[7])
local attempts = history(ARGV[4], ARGV[5])
if take(ARGV[3], ARGV[4]) then
  redis.call('XADD', KEYS[7], '*', 'sink', SINK, 'id', ARGV[4], 'tries', attempts, unpack(ARGV, 6))
  count('failures')
  count('dead')
end
return next_of(ARGV[3])
