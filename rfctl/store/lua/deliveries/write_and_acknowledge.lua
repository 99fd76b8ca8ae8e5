-- flags=allow-oom: without it nothing behind the message goes on, and no memory is freed
-- include: shared/clock, shared/delivery, shared/delivery_log
-- Delivers inside this Redis, in the very step that acknowledges: exactly once, however often it is called.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
--       8 delivery log (stream)   9… the lists and streams to fill
-- ARGV  1 consumer group   2 sink   3 1: the log is written | ''
--       4… of each message: batch key, id, phone ('': the batch key is it), attempts, list | stream, which of the lists
--          and streams (from 1), how many values follow (at most 7000), and these: the value of the list, or the
--          stream's fields; no two of one batch key
-- Returns for each message why it stays where it was, or '', and the id of the next one that waits for its batch key.
local function find_fault(key, kind)
  local present = redis.call('TYPE', key).ok
  if present == 'none' or present == kind then return nil end
  return 'WRONGTYPE ' .. key .. ' is a ' .. present .. ', wrong kind of value'
end

-- The one write that may still be refused comes first; taking the message off was tried above, and comes last.
local function write(key, kind, first, last)
  local reply
  if kind == 'list' then
    reply = redis.pcall('RPUSH', key, ARGV[first])
  else
    reply = redis.pcall('XADD', key, '*', unpack(ARGV, first, last))
  end
  return type(reply) == 'table' and reply.err or nil
end

local answers, written, i = {}, 0, 4
while i <= #ARGV do
  local batch_key, id, kind, key, last = ARGV[i], ARGV[i + 1], ARGV[i + 4], KEYS[8 + ARGV[i + 5]], i + 6 + ARGV[i + 6]
  local fault, is_new = find_fault(key, kind), false
  if not fault and is_left(id) then
    fault = write(key, kind, i + 7, last)
    is_new = not fault
  end
  if is_new then written = written + 1 end
  if not fault and take(batch_key, id) then log('delivered', id, batch_key, ARGV[i + 2], ARGV[i + 3], '') end
  answers[#answers + 1] = fault or ''
  answers[#answers + 1] = fault and '' or next_of(batch_key)
  i = last + 1
end
if written > 0 then
  count('delivered', written)
  note('ended_ms')
end
return answers
