-- flags=allow-oom: without it nothing behind the message goes on, and no memory is freed
-- include: shared/clock, shared/delivery
-- Delivers inside this Redis, in the very step that acknowledges: exactly once, however often it is called.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
--       8 the list or stream to fill
-- ARGV  1 consumer group   2 sink
--       3 batch key   4 id   5 list | stream   6… the value of the list, or the stream's fields, at most 7000
-- Returns the id of the next message that waits for this batch key, or ''.
-- The one write that may still be refused comes first; taking the message off was tried above, and comes last.
local kind = redis.call('TYPE', KEYS[8]).ok
if kind ~= 'none' and kind ~= ARGV[5] then
  return redis.error_reply('WRONGTYPE ' .. KEYS[8] .. ' is a ' .. kind .. ', wrong kind of value')
end
if is_left(ARGV[4]) then
  if ARGV[5] == 'list' then
    redis.call('RPUSH', KEYS[8], ARGV[6])
  else
    redis.call('XADD', KEYS[8], '*', unpack(ARGV, 6))
  end
  count('delivered')
  note('ended_ms')
end
take(ARGV[3], ARGV[4])
return next_of(ARGV[3])
