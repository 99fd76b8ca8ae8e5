-- flags=allow-oom: it frees memory
-- Clears one batch and returns its items: what an operator throws away is shown once more.
-- ARGV  7 name
local items = redis.call('LRANGE', BATCH .. ARGV[7], 0, -1)
redis.call('DEL', BATCH .. ARGV[7], LAST .. ARGV[7])
redis.call('ZREM', DUE, ARGV[7])
if #items > 0 then
  count('messages_discarded', #items)
  count('discarded', 1)
end
write_counts()
return items
