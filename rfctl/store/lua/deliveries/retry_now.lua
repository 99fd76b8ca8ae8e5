-- include: shared/clock, shared/delivery
-- The receiver is back, or an operator says so: what waits for a later attempt is due now. Up to 1000 phones a call.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
-- ARGV  1 consumer group   2 sink
--       3 all | '' when fixed waits stay   4 how many of those were passed by in the calls before
-- Returns how many are due now, and how many were passed by; 0 and 0 at the end.
local later = redis.call('ZRANGEBYSCORE', RETRY, '(' .. whole(NOW), '+inf', 'WITHSCORES', 'LIMIT', ARGV[4], 1000)
local due = 0
for i = 1, #later, 2 do
  if ARGV[3] == 'all' or not is_fixed(later[i + 1]) then
    redis.call('ZADD', RETRY, whole(NOW), later[i])
    due = due + 1
  end
end
return { due, #later / 2 - due }
