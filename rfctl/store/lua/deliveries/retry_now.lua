-- flags=allow-oom: it takes no memory, and what is delivered frees some
-- include: shared/clock, shared/delivery
-- The receiver is back, or an operator says so: what waits for a later attempt is due now. Up to 1000 a call.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
-- ARGV  1 consumer group   2 sink
--       3 all | '' when fixed waits stay
--       4 the score of the last that was passed by before, or ''   5 how many were passed by with that score
-- Returns how many are due now, the two for the next call, and how many were looked at: 0 at the end.
local from = ARGV[4] == '' and '(' .. whole(NOW) or ARGV[4]
local later = redis.call('ZRANGEBYSCORE', RETRY, from, '+inf', 'WITHSCORES', 'LIMIT', ARGV[5], 1000)
local due, score, passed = 0, ARGV[4], tonumber(ARGV[5])
for i = 1, #later, 2 do
  if ARGV[3] == 'all' or not is_fixed(later[i + 1]) then
    redis.call('ZADD', RETRY, whole(NOW), later[i])
    due = due + 1
  else
    passed = later[i + 1] == score and passed + 1 or 1
    score = later[i + 1]
  end
end
note('ended_ms')
return { due, score, passed, #later }
