-- include: shared/clock, shared/item, shared/batch
-- Stores messages, many in one call; a batch that is full, or that the new message must not join, leaves here.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)
-- ARGV  1 batch prefix   2 last-msg prefix   3 separator   4 order: arrival|sent   5 overdue_ms   6 events channel
--       7 seen prefix   8 how long last-msg lives, ms
--       9… nine a message: batch key, dedupe key (16 bytes), dedupe window (s), quiet_ms, max_size, max_wait_ms,
--       action ('' | send_alone | send_batch | discard_batch: what becomes of the batch at once),
--       item without its last three fields, and when it was sent, Unix ms, or ''
-- Returns three a message: 1 added | 0 seen before | -1 the key holds something else; batch size; due in, ms.
-- Without memory it is rejected before it wrote anything.
local SEEN_PREFIX, LAST_MS, FIELDS = ARGV[7], ARGV[8], 9

-- Ids of one dedupe window lie in a set a time bucket; the bucket before it is still asked.
local windows = {}
for i = 11, #ARGV, FIELDS do
  local window = ARGV[i]
  if not windows[window] then
    local bucket, prefix = math.floor(NOW / (tonumber(window) * 1000)), SEEN_PREFIX .. window .. ':'
    windows[window] = { now = prefix .. whole(bucket), before = prefix .. whole(bucket - 1) }
    redis.call('SCARD', windows[window].now)
    redis.call('SCARD', windows[window].before)
  end
end

local function seen(dedupe_key, sets)
  return redis.call('SISMEMBER', sets.now, dedupe_key) == 1 or redis.call('SISMEMBER', sets.before, dedupe_key) == 1
end

local function due_of(batch_key) return tonumber(redis.call('ZSCORE', DUE, batch_key) or NOW) end

-- A batch is one company's, one source's, account's and chat's, real or simulated: what differs hands over what
-- is pending first, and so does what must leave alone.
-- Returns the time of the batch's first message, and how many were thrown away; a clock that jumped back must
-- not put that time into the future.
local function make_room(batch_key, item, action)
  if redis.call('EXISTS', BATCH .. batch_key) == 0 then return NOW, 0 end
  local first, mine = read_item(redis.call('LINDEX', BATCH .. batch_key, 0)), read_item(item)
  if first.belongs ~= mine.belongs then
    hand_over(batch_key, first.company ~= mine.company and 'company' or 'source', NOW)
  elseif action == 'send_alone' then
    hand_over(batch_key, 'bypass', NOW)
  elseif action == 'discard_batch' then
    return NOW, clear(batch_key)
  else
    return math.min(first.at, NOW), 0
  end
  return NOW, 0
end

local function reason_to_leave(size, most, action)
  if action ~= '' then return 'bypass' end
  return size >= most and 'size' or nil
end

-- Returns the batch's size and in how many ms it is due, after this message.
local function push(batch_key, quiet, most, max_wait, action, front, sent)
  local item = front .. ',"timestamp":' .. (sent ~= '' and sent or whole(WALL)) ..
    ',"receivedAt":' .. whole(NOW) .. ',"waitMs":' .. quiet .. '}'
  local first, discarded = make_room(batch_key, item, action)
  local size = redis.call('RPUSH', BATCH .. batch_key, item)
  redis.call('SET', LAST .. batch_key, whole(WALL), 'PX', LAST_MS)
  local leaves = reason_to_leave(size, tonumber(most), action)
  local due = leaves and NOW or math.min(NOW + tonumber(quiet), first + tonumber(max_wait))
  redis.call('ZADD', DUE, whole(due), batch_key)
  publish(FOLLOWED and '{"event":"in","phone":' .. cjson.encode(batch_key) .. ',"size":' .. size ..
    ',"due_in_ms":' .. whole(math.max(0, due - NOW)) .. ',"item":' .. item .. '}')
  if leaves then hand_over(batch_key, leaves, NOW, discarded) end
  return size, math.max(0, due - NOW)
end

local answers = {}
local function answer(...) for _, value in ipairs({ ... }) do table.insert(answers, value) end end

for i = 9, #ARGV, FIELDS do
  local batch_key, dedupe_key, sets = ARGV[i], ARGV[i + 1], windows[ARGV[i + 2]]
  local length = redis.pcall('LLEN', BATCH .. batch_key)
  if type(length) == 'table' then
    answer(-1, 0, 0)
  elseif seen(dedupe_key, sets) then
    count('duplicates', 1)
    answer(0, length, math.max(0, due_of(batch_key) - NOW))
  else
    local size, due_in =
      push(batch_key, ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7], ARGV[i + 8])
    count('messages_in', 1)
    redis.call('SADD', sets.now, dedupe_key)  -- last: added first, any later error would lose the message for good
    answer(1, size, due_in)
  end
end
for window, sets in pairs(windows) do redis.call('EXPIRE', sets.now, tonumber(window) * 2) end
write_counts()
return answers
