-- flags=allow-oom: a few bytes, without which nothing is delivered and no memory freed
-- One daemon at a time delivers for a sink, so that the messages of one phone leave in their order.
-- KEYS  1 lease
-- ARGV  1 daemon id   2 for how long, ms; 0 gives it back
-- Returns 1 when it is ours, 0 when another has it.
local leased_by = redis.call('GET', KEYS[1])
if leased_by and leased_by ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
