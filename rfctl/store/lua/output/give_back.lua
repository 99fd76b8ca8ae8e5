-- flags=allow-oom: once it is handled it frees memory, that of its dead letter too
-- Gives a dead letter of a group of workers back to that group: its workers read it from a stream of their own.
-- KEYS  1 dead letters (stream)   2 what the group reads again (stream)
-- ARGV  1 the entry among the dead letters
-- Returns 1, or 0 when that entry is there no more.
-- The dead letter may be the last copy: it is deleted last, and before the first write it is known that it may be.
local ABOUT = 6 -- sink, id and tries come first, each with its value
redis.call('XDEL', KEYS[1], '0-0')
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(entry[2], ABOUT + 1))
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
