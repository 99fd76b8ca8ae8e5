-- Holds a phone: its first message is tried again later, the others wait behind it.
-- ARGV  3 name   4 wait, ms   5 what went wrong, as a JSON string, or '' when nothing was tried   6… ids, oldest first
-- Returns 1.
local name, id = ARGV[3], ARGV[6]
if ARGV[5] ~= '' then
  redis.call('HSET', TRIES, id, history(id, ARGV[5]))
  count('failures')
end
for i = 6, #ARGV do wait(name, ARGV[i]) end
redis.call('ZADD', RETRY, whole(NOW + tonumber(ARGV[4])), name)
return 1
