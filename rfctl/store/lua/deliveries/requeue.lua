-- flags=allow-oom: once it is sent it frees memory, that of its dead letter too
-- include: shared/clock, shared/delivery
-- An operator sends a message again: it waits for its turn before all that waits for this batch key, due now.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
--       8 dead letters (stream)
-- ARGV  1 consumer group   2 sink
--       3 batch key   4 id   5 the message as a JSON array of fields   6 its entry among the dead letters, or ''
-- Returns 1, or 0 when that entry is there no more.
-- The dead letter may be the last copy: it is deleted last, and before the first write it is known that it may be.
redis.call('XDEL', KEYS[8], '0-0')
if ARGV[6] ~= '' and #redis.call('XRANGE', KEYS[8], ARGV[6], ARGV[6]) == 0 then return 0 end
redis.call('HSET', BODIES, ARGV[4], ARGV[5])
wait_in_line(ARGV[3], ARGV[4])
redis.call('ZADD', RETRY, whole(NOW), ARGV[3])
redis.call('HDEL', ATTEMPTS, ARGV[4])
if ARGV[6] ~= '' then redis.call('XDEL', KEYS[8], ARGV[6]) end
return 1
