-- Delivers inside this Redis, in the very step that acknowledges: exactly once, whoever asks how often.
-- KEYS  7 the list or stream to fill
-- ARGV  3 name   4 id   5 list | stream   6… the value of the list, or the fields of the stream's entry
-- Returns the id of the next one that waits for this phone, or ''.
local kind = redis.call('TYPE', KEYS[7]).ok
if kind ~= 'none' and kind ~= ARGV[5] then return redis.error_reply('WRONGTYPE ' .. KEYS[7] .. ' is a ' .. kind .. ', wrong kind of value') end
if take(ARGV[3], ARGV[4]) then
  if ARGV[5] == 'list' then
    redis.call('RPUSH', KEYS[7], ARGV[6])
  else
    redis.call('XADD', KEYS[7], '*', unpack(ARGV, 6))
  end
  count('delivered')
end
return next_of(ARGV[3])
