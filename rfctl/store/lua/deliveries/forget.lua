-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/delivery
-- An operator forgets messages before they are delivered: they are acknowledged, and all that waits of them goes.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)   8 lease (text: daemon, a space, until when)
-- ARGV  1 consumer group   2 sink
--       3… batch key and id of each message
-- Returns for each message 1 it is forgotten | 0 there was nothing | -1 an attempt may be on its way: it stays.
-- A batch key whose retry is later has no attempt on its way. Of any other, only the daemon with the lease knows.
local held_until = tonumber(string.match(redis.call('GET', KEYS[8]) or '', ' (%d+)$') or 0)
local answers = {}

local function may_be_sent(batch_key)
  local retry = redis.call('ZSCORE', RETRY, batch_key)
  return held_until > NOW and not (retry and tonumber(retry) > NOW)
end

for i = 3, #ARGV, 2 do
  local batch_key, id, answer = ARGV[i], ARGV[i + 1], 0
  if is_left(id) then
    answer = may_be_sent(batch_key) and -1 or 1
    if answer == 1 then take(batch_key, id) end
  end
  table.insert(answers, answer)
end
for i = 3, #ARGV, 2 do next_of(ARGV[i]) end
return answers
