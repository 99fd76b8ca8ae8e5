-- flags=allow-oom: a few bytes, without which what was read could not be delivered, and no memory freed
-- include: shared/clock, shared/delivery
-- Puts messages of waiting batch keys behind those that wait already.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
-- ARGV  1 consumer group   2 sink
--       3… batch key and id of each message, in the order of the stream
-- Returns a number for each message: 1 it waits now | 0 the batch key is free: deliver it.
local answers = {}
for i = 3, #ARGV, 2 do
  local is_waiting = redis.call('ZSCORE', RETRY, ARGV[i])
  if is_waiting then wait_in_line(ARGV[i], ARGV[i + 1]) end
  table.insert(answers, is_waiting and 1 or 0)
end
return answers
