-- flags=allow-oom: it frees memory
-- An operator forgets messages of a group of workers. Their order, failures and acknowledgement go in one step: what is
-- acknowledged and still stands in the order would hold its person up.
-- KEYS  1 stream   2 order (zset, no scores: batch key NUL id, with zeros before it)
--       3 failures (hash, id → JSON array of failed attempts, each with its number)
-- ARGV  1 group   2 1: the entries go too | ''   3 a sign of life within so many ms: a worker may have it in hand
--       4… batch key, member of the order, and id of each message, those of a batch key from the last to the first
-- Returns for each message 1 it is forgotten | 0 there was nothing | -1 a worker may have it in hand: it stays.
local STREAM, ORDER, FAILURES, GROUP = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local answers = {}

-- Where the group or its stream is gone, nobody has it in hand.
local function is_delivered(id)
  local rows = redis.pcall('XPENDING', STREAM, GROUP, id, id, 1)
  if rows.err and not string.find(rows.err, 'NOGROUP', 1, true) then error(rows) end
  return not rows.err and rows[1]
end

-- After a failure nobody has it, until it is delivered once more. Workers of before have noted no attempt.
local function is_in_hand(batch_key, member, row)
  local first = redis.call('ZRANGEBYLEX', ORDER, '[' .. batch_key .. '\0', '(' .. batch_key .. '\1', 'LIMIT', 0, 1)[1]
  local failures = cjson.decode(redis.call('HGET', FAILURES, row[1]) or '[]')
  local failed = #failures > 0 and failures[#failures].attempt or #failures
  return first == member and row[3] < tonumber(ARGV[3]) and row[4] > failed
end

for i = 4, #ARGV, 3 do
  local batch_key, member, id, count = ARGV[i], ARGV[i + 1], ARGV[i + 2], -1
  local row = is_delivered(id)
  if not (row and is_in_hand(batch_key, member, row)) then
    count = redis.call('ZREM', ORDER, member) + redis.call('HDEL', FAILURES, id)
    if row then count = count + redis.call('XACK', STREAM, GROUP, id) end
    if ARGV[2] == '1' then count = count + redis.call('XDEL', STREAM, id) end
    count = math.min(count, 1)
  end
  table.insert(answers, count)
end
return answers
