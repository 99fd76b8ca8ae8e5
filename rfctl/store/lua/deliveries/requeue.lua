-- An operator sends a message again: it waits for its turn before all that waits for this phone, due now.
-- KEYS  7 dead (stream)
-- ARGV  3 name   4 id   5 the message as a JSON array of fields   6 entry of the dead ones that this is, or ''
-- Returns 1, or 0 when the dead entry is there no more.
if ARGV[6] ~= '' and redis.call('XDEL', KEYS[7], ARGV[6]) == 0 then return 0 end
redis.call('HSET', BODIES, ARGV[4], ARGV[5])
redis.call('HDEL', TRIES, ARGV[4])
wait(ARGV[3], ARGV[4])
redis.call('ZADD', RETRY, whole(NOW), ARGV[3])
return 1
