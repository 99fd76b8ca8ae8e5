-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/rights, shared/item, shared/merging, shared/holding, shared/batch
-- Clears one batch and returns its items: what an operator throws away is shown once more.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset)
--       5 batches set aside (hash)   6 of shared/holding   7 the batch (list)   8 its last-msg
-- ARGV  1 batch prefix   2 last-msg prefix   3 events channel   4 order, overdue_ms and separator (shared/batch)
--       5 batch key
-- Returns the items, oldest first.
local items = redis.call('LRANGE', KEYS[7], 0, -1)
clear(ARGV[5])
write_counts()
return items
