-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/rights, shared/item, shared/merging, shared/holding, shared/batch
-- Hands one batch over now, whatever its due time. One that is held stays.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset)
--       5 batches set aside (hash)   6 of shared/holding   7 the batch (list)   8 its last-msg
-- ARGV  1 batch prefix   2 last-msg prefix   3 events channel   4 order, overdue_ms and separator (shared/batch)
--       5 batch key   6 reason
-- Returns the entry's id and its number of messages, or nothing when there is no batch. The id is '' where the messages
--         said nothing, and were dropped. For a batch that is held, '' and until when (Unix ms) below 0.
local until_ms = held_until(ARGV[5])
if until_ms and until_ms > NOW then return { '', -until_ms } end
local due = tonumber(redis.call('ZSCORE', DUE, ARGV[5]) or NOW)
local ok, id, size = pcall(hand_over, ARGV[5], ARGV[6], math.min(due, NOW))
write_counts()
if not ok then return redis.error_reply(take_fault() or 'ERR this batch cannot be handed over: ' .. tostring(id)) end
return id and { id, size } or {}
