-- flags=allow-oom: a few bytes, without which a receiver that wants nothing is asked again
-- Pauses a sink on every daemon. A request that comes again, as its answer was lost, pauses nothing: an operator may
-- have resumed the sink in between.
-- KEYS  1 paused (hash, sink → why, as JSON)   2 progress of the sink (hash: pause, the last request)
-- ARGV  1 sink   2 why, as JSON   3 who asks, '' when the request never comes again   4 number of the request, from 1
-- Returns 1, or 0 for a request that came before.
local before = redis.pcall('HGET', KEYS[2], 'pause')
local who, number = string.match(type(before) == 'string' and before or '', '^(%S+) (%d+)$')
if who and who == ARGV[3] and tonumber(ARGV[4]) <= tonumber(number) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then redis.pcall('HSET', KEYS[2], 'pause', ARGV[3] .. ' ' .. ARGV[4]) end
return 1
