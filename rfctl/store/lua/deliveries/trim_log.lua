-- flags=allow-oom: it frees memory
-- include: shared/clock
-- Removes what is old, or too much, from the delivery log: whole pieces of about a hundred entries, a few in a call.
-- KEYS  1 delivery log (stream)
-- ARGV  1 keep, ms   2 keep, entries
-- Returns how many entries were removed; 0 when there are no more.
local PIECES = 1000  -- entries a call
local oldest = whole(math.max(0, WALL - tonumber(ARGV[1]))) .. '-0'
local removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', oldest, 'LIMIT', PIECES)
return removed + redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[2], 'LIMIT', PIECES)
