-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/rights, shared/item, shared/merging, shared/batch
-- Clears one batch and returns its items: what an operator throws away is shown once more.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset)
--       5 batches set aside (hash)   6 the batch (list)   7 its last-msg
-- ARGV  1 batch prefix   2 last-msg prefix   3 separator   4 order: arrival|sent   5 overdue_ms   6 events channel
--       7 batch key
-- Returns the items, oldest first.
local items = redis.call('LRANGE', KEYS[6], 0, -1)
clear(ARGV[7])
write_counts()
return items
