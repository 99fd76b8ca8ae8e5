-- include: shared/clock, shared/rights, shared/item, shared/merging, shared/holding, shared/batch, shared/taking_over
-- Holds a batch from now on, whether anything is pending or not; one that is held already gets another end.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset)
--       5 batches set aside (hash)   6 until when batches are held (zset)   7 the batch (list)   8 its last-msg
-- ARGV  1 batch prefix   2 last-msg prefix   3 events channel   4 order, overdue_ms and separator (shared/batch)
--       5 batch key   6 how long, ms   7 the phone   8 why, as JSON without its braces, or ''
-- Returns until when it is held (Unix ms, steady), and how many messages are pending.
local BATCH_KEY, UNTIL_MS, PHONE = ARGV[5], NOW + ARGV[6], ARGV[7]
if ASKS_RIGHTS then
  for _, right in ipairs({ { 'ZADD', HELD }, { 'HSET', NOTES }, { 'ZADD', DUE } }) do
    if not redis.acl_check_cmd(unpack(right)) then return refuse(right[1], right[2]) end
  end
end
local size = redis.call('LLEN', KEYS[7])
local head = '{"since_ms":' .. whole(NOW) .. ',"phone":' .. cjson.encode(PHONE)
hold(BATCH_KEY, UNTIL_MS, head .. (ARGV[8] ~= '' and ',' .. ARGV[8] or '') .. '}')
count('held', 1)
announce('held', PHONE, UNTIL_MS)
write_counts()
return { UNTIL_MS, size }
