-- Stores messages, many in one call; a batch that is full, or that the new message must not join, leaves here.
-- ARGV  7 seen prefix   8 dedupe window, s   9 max_size   10 how long last-msg lives, ms
--       then five a message: name, mark (16 bytes), quiet_ms, max_wait_ms, item without its last three fields;
--       and a sixth: when it was sent, Unix ms, or ''
-- Returns three a message: 1 added | 0 seen before | -1 the key holds something else; batch size; due in, ms.
-- Not allowed to run out of memory: refused before it wrote anything.
local WINDOW_S, MAX_SIZE, LAST_MS = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local bucket = math.floor(NOW / (WINDOW_S * 1000))
local seen_now = ARGV[7] .. whole(WINDOW_S) .. ':' .. whole(bucket)
local seen_before = ARGV[7] .. whole(WINDOW_S) .. ':' .. whole(bucket - 1)
redis.call('SCARD', seen_now)
redis.call('SCARD', seen_before)

local function seen(mark)
  return redis.call('SISMEMBER', seen_now, mark) == 1 or redis.call('SISMEMBER', seen_before, mark) == 1
end

local function due_of(name) return tonumber(redis.call('ZSCORE', DUE, name) or NOW) end

-- A batch is one company's, one channel's, real or simulated: what differs hands over what is pending first.
-- Returns the time of the batch's first message; a clock that jumped back must not put it into the future.
local function make_room(name, item)
  local first = read(redis.call('LINDEX', BATCH .. name, 0))
  local mine = read(item)
  if first.belongs == mine.belongs then return math.min(first.at, NOW) end
  merge(name, first.company ~= mine.company and 'company' or 'channel', NOW)
  return nil
end

-- Returns the batch's size and in how many ms it is due, after this message.
local function push(name, quiet, max_wait, item, sent)
  item = item .. ',"timestamp":' .. (sent ~= '' and sent or whole(NOW)) ..
    ',"receivedAt":' .. whole(NOW) .. ',"waitMs":' .. quiet .. '}'
  local first = redis.call('EXISTS', BATCH .. name) == 1 and make_room(name, item) or NOW
  local size = redis.call('RPUSH', BATCH .. name, item)
  redis.call('SET', LAST .. name, whole(NOW), 'PX', LAST_MS)
  local due = math.min(NOW + tonumber(quiet), first + tonumber(max_wait))
  if size >= MAX_SIZE then due = NOW end
  redis.call('ZADD', DUE, whole(due), name)
  publish(FOLLOWED and '{"event":"in","phone":' .. cjson.encode(name) .. ',"size":' .. size ..
    ',"due_in_ms":' .. whole(math.max(0, due - NOW)) .. ',"item":' .. item .. '}')
  if size >= MAX_SIZE then merge(name, 'size', NOW) end
  return size, math.max(0, due - NOW)
end

local answers = {}
local function answer(...) for _, value in ipairs({ ... }) do table.insert(answers, value) end end

for i = 11, #ARGV, 6 do
  local name, mark = ARGV[i], ARGV[i + 1]
  local length = redis.pcall('LLEN', BATCH .. name)
  if type(length) == 'table' then
    answer(-1, 0, 0)
  elseif seen(mark) then
    count('duplicates', 1)
    answer(0, length, math.max(0, due_of(name) - NOW))
  else
    local size, due_in = push(name, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
    count('messages_in', 1)
    redis.call('SADD', seen_now, mark)  -- last: marked first, any later error would lose the message for good
    answer(1, size, due_in)
  end
end
redis.call('EXPIRE', seen_now, WINDOW_S * 2)
write_counts()
return answers
