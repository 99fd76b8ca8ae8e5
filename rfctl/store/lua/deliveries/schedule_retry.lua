-- flags=allow-oom: a few bytes, without which nobody else's messages go on, and no memory is freed
-- include: shared/clock, shared/delivery
-- Lets a batch key wait: its first message is tried again later, the others go behind it.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
-- ARGV  1 consumer group   2 sink
--       3 batch key   4 wait, ms   5 what went wrong, as a JSON string, or '' when nothing was tried
--       6 attempts before it   7 fixed | ''   8… ids, oldest first
-- A call that is made again because its answer was lost counts one attempt.
-- Returns 1.
local batch_key, id = ARGV[3], ARGV[8]
local before = redis.call('HGET', ATTEMPTS, id)
local ok, attempts = pcall(cjson.decode, before or '[]')
if not (ok and type(attempts) == 'table') then before = nil end -- another program wrote it
if ARGV[5] ~= '' and (before and #attempts or 0) == tonumber(ARGV[6]) then
  redis.call('HSET', ATTEMPTS, id, history(id, ARGV[5]))
  count('failures')
end
for i = 8, #ARGV do wait_in_line(batch_key, ARGV[i]) end
redis.call('ZADD', RETRY, whole(NOW + tonumber(ARGV[4])) .. (ARGV[7] == 'fixed' and FIXED or ''), batch_key)
if ARGV[5] ~= '' then note('ended_ms') end
return 1
