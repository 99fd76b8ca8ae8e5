-- flags=allow-oom: it frees memory, and must work when there is none left
-- include: shared/clock, shared/item, shared/batch
-- Hands over what is due, or everything, up to a limit a call so that a call stays short.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)
-- ARGV  1 batch prefix   2 last-msg prefix   3 separator   4 order: arrival|sent   5 overdue_ms   6 events channel
--       7 most batches   8 longest wait, ms: a due time further away is clamped (the clock jumped back)
--       9 '' for what is due | a reason: everything, and this one for what was not due yet
-- Returns batches, messages, next due (Unix ms, -1: nothing pending), now (Unix ms), clamped, more is due (0|1),
--         then phone and late_ms of each batch that was overdue by more than overdue_ms.
local LIMIT, LONGEST_MS, ALL = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9] ~= ''
local SEEN_EVERY_MS, SLEWED_MS = 5000, 60000
local MOST_MESSAGES = 2000  -- a call's length goes by messages too
local batches, messages, clamped, overdue = 0, 0, 0, {}

local function last_wait(batch_key)
  local item = redis.pcall('LINDEX', BATCH .. batch_key, -1)
  return type(item) == 'string' and read_item(item) or { at = NOW, wait = 0 }
end

local function reason_of(batch_key, due)
  if due > NOW then return ARGV[9] end
  local last = last_wait(batch_key)
  return last.at + last.wait <= due and 'quiet' or 'max-wait'
end

-- Another daemon may know a rule that lets a message wait longer than all that this one knows: the item says so.
local function clamp()
  local furthest = '(' .. whole(NOW + LONGEST_MS)
  local far = redis.call('ZREVRANGEBYSCORE', DUE, '+inf', furthest, 'WITHSCORES', 'LIMIT', 0, LIMIT)
  for i = 1, #far, 2 do
    local last = last_wait(far[i])
    if last.at > NOW or tonumber(far[i + 1]) > last.at + last.wait then
      redis.call('ZADD', DUE, whole(NOW + last.wait), far[i])
      clamped = clamped + 1
    end
  end
end

-- The latest time is written down now and then, for a daemon that starts later. Behind a jump the steady clock runs 2 %
-- slower or faster, until it shows the server's time again.
local function keep_clock()
  local since = SEEN and NOW - SEEN
  if since and since < SEEN_EVERY_MS then return end
  redis.call('HSET', CLOCK, 'seen', whole(NOW))
  if since and STEP ~= 0 then
    local most = math.floor(math.min(since, SLEWED_MS) / 50)
    redis.call('HSET', CLOCK, 'step', whole(STEP - math.max(-most, math.min(most, STEP))))
  end
end

if not ALL then clamp() end
local till = ALL and '+inf' or whole(NOW)
local names = redis.call('ZRANGEBYSCORE', DUE, '-inf', till, 'WITHSCORES', 'LIMIT', 0, LIMIT)
for i = 1, #names, 2 do
  if messages >= MOST_MESSAGES then break end
  local batch_key, due = names[i], tonumber(names[i + 1])
  local id, size, late, phone = hand_over(batch_key, reason_of(batch_key, due), math.min(due, NOW))
  if id then
    batches, messages = batches + 1, messages + size
    if late > OVERDUE_MS then table.insert(overdue, phone); table.insert(overdue, late) end
  end
end
write_counts()
keep_clock()
local next_due = tonumber(redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2] or -1)
local more = next_due ~= -1 and (ALL or next_due <= NOW) and 1 or 0
return { batches, messages, next_due, NOW, clamped, more, unpack(overdue) }
