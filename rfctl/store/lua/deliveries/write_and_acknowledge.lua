-- include: shared/clock, shared/delivery
-- Delivers inside this Redis, in the very step that acknowledges: exactly once, however often it is called.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 the list or stream to fill
-- ARGV  1 consumer group   2 sink
--       3 batch key   4 id   5 list | stream   6… the value of the list, or the fields of the stream's entry
-- Returns the id of the next message that waits for this phone, or ''.
local kind = redis.call('TYPE', KEYS[7]).ok
if kind ~= 'none' and kind ~= ARGV[5] then
  return redis.error_reply('WRONGTYPE ' .. KEYS[7] .. ' is a ' .. kind .. ', wrong kind of value')
end
if take(ARGV[3], ARGV[4]) then
  if ARGV[5] == 'list' then
    redis.call('RPUSH', KEYS[7], ARGV[6])
  else
    redis.call('XADD', KEYS[7], '*', unpack(ARGV, 6))
  end
  count('delivered')
end
return next_of(ARGV[3])
