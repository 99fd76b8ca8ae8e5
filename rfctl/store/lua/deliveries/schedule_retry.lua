-- Holds a phone: its first message is tried again later, the others wait behind it.
-- ARGV  3 name   4 wait, ms   5 what went wrong, as a JSON string, or '' when nothing was tried   6 tries before it
--       7 kept | ''   8… ids, oldest first
-- A call that is made again because its answer was lost counts one try.
-- Returns 1.
local name, id = ARGV[3], ARGV[8]
local before = redis.call('HGET', TRIES, id)
if ARGV[5] ~= '' and (before and #cjson.decode(before) or 0) == tonumber(ARGV[6]) then
  redis.call('HSET', TRIES, id, history(id, ARGV[5]))
  count('failures')
end
for i = 8, #ARGV do wait(name, ARGV[i]) end
redis.call('ZADD', RETRY, whole(NOW + tonumber(ARGV[4])) .. (ARGV[7] == 'kept' and KEPT or ''), name)
return 1
