-- flags=allow-oom: it frees memory
-- Clears one batch and returns its items: what an operator throws away is shown once more.
-- ARGV  7 name
local items = redis.call('LRANGE', BATCH .. ARGV[7], 0, -1)
clear(ARGV[7])
write_counts()
return items
