-- flags=allow-oom: a few bytes, without which what was read could not be delivered, and no memory freed
-- include: shared/clock, shared/delivery
-- Puts messages of held phones behind what waits for them.
-- KEYS  1 output stream   2 waiting (zset, no scores: name NUL id)   3 retry (zset, name → when, Unix ms)
--       4 tries (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
-- ARGV  1 consumer group   2 sink
--       3… name and id of each message, in the order of the stream
-- Returns a number for each message: 1 it waits now | 0 the phone is free: deliver it.
local answers = {}
for i = 3, #ARGV, 2 do
  local held = redis.call('ZSCORE', RETRY, ARGV[i])
  if held then wait_in_line(ARGV[i], ARGV[i + 1]) end
  table.insert(answers, held and 1 or 0)
end
return answers
