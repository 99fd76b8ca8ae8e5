-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/rights, shared/item, shared/merging, shared/holding, shared/batch, shared/taking_over
-- Ends the hold of a batch, and hands over what is pending, or throws it away. A long batch leaves in parts, a call
-- each: whoever does not ask on leaves the rest to the scheduler, for which it is due.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset)
--       5 batches set aside (hash)   6 until when batches are held (zset)   7 the batch (list)   8 its last-msg
-- ARGV  1 batch prefix   2 last-msg prefix   3 events channel   4 order, overdue_ms and separator (shared/batch)
--       5 batch key   6 hand_over | discard   7 the phone
-- Returns whether it was held (0|1), the id of the entry ('': none), its number of messages or how many were thrown
--         away, whether more are left (0|1), and what was thrown away, oldest first: it is shown once more.
local BATCH_KEY, HOW, PHONE = ARGV[5], ARGV[6], ARGV[7]
if not held_until(BATCH_KEY) then return { 0, '', 0, 0, {} } end

local function release()
  let_go(BATCH_KEY, PHONE)
  local id, size, thrown_away = '', 0, {}
  if HOW == 'discard' then
    thrown_away = redis.call('LRANGE', KEYS[7], 0, -1)
    size = clear(BATCH_KEY)
  elseif redis.call('EXISTS', KEYS[7]) == 1 then
    id, size = hand_over(BATCH_KEY, 'released', NOW)
  end
  if redis.call('EXISTS', KEYS[7]) == 1 then return { 1, id or '', size, 1, {} } end
  end_hold(BATCH_KEY)
  return { 1, id or '', size, 0, thrown_away }
end

local ok, answer = pcall(release)
write_counts()
if not ok then
  return redis.error_reply(take_fault() or 'ERR this batch cannot be handed over: ' .. tostring(answer))
end
return answer
