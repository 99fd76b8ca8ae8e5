-- flags=allow-oom: it moves what is there
-- Gives keys other names, while the layout is being moved: a daemon that is a step behind moves nothing.
-- KEYS  1 the layout   2… two a key: its name, its new name
-- ARGV  1 what the layout must say
-- Returns how many keys were moved.
local moved = 0
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('ERR the layout is not ' .. ARGV[1] .. ' any more')
end
for i = 2, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then moved = moved + redis.call('RENAMENX', KEYS[i], KEYS[i + 1]) end
end
return moved
