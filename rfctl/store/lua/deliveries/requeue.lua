-- include: shared/clock, shared/delivery
-- An operator sends a message again: it waits for its turn before all that waits for this phone, due now.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 dead letters (stream)
-- ARGV  1 consumer group   2 sink
--       3 batch key   4 id   5 the message as a JSON array of fields   6 its entry among the dead letters, or ''
-- Returns 1, or 0 when that entry is there no more.
if ARGV[6] ~= '' and redis.call('XDEL', KEYS[7], ARGV[6]) == 0 then return 0 end
redis.call('HSET', BODIES, ARGV[4], ARGV[5])
redis.call('HDEL', ATTEMPTS, ARGV[4])
wait_in_line(ARGV[3], ARGV[4])
redis.call('ZADD', RETRY, whole(NOW), ARGV[3])
return 1
