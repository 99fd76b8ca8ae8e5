-- flags=allow-oom: it frees memory, and must work when there is none left
-- include: shared/clock, shared/rights, shared/item, shared/merging, shared/holding, shared/batch
-- Hands over what is due, or everything, up to a limit a call so that a call stays short. A call's length goes by
-- batches, messages and bytes: a script cannot look at the time, which stands still in it since Redis 7.2.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset)
--       5 batches set aside (hash)   6 of shared/holding
-- ARGV  1 batch prefix   2 last-msg prefix   3 events channel   4 order, overdue_ms and separator (shared/batch)
--       5 most batches   6 longest wait, ms: a due time further away is clamped (the clock jumped back)
--       7 '' for what is due | a reason: everything, and this one for what was not due yet
--       8 the end of what is due to begin at: oldest | newest. Behind a backlog, what is due now would be late too.
-- Returns batches, messages, next due (Unix ms, -1: nothing pending), now (Unix ms), clamped, more is due (0|1), set
--         aside, how many batches were later than overdue_ms, how late the latest of them was (ms) and its phone ('':
--         none), and the lists of list_measures and traced_batches (shared/batch).
-- A batch that is held stays, also where everything is asked for: its due time is the end of its hold.
-- A batch that cannot be handed over holds up no other. What Redis refused is the answer, after the others have left.
local LIMIT, LONGEST_MS, ALL, IS_OLDEST = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] ~= '', ARGV[8] ~= 'newest'
local SEEN_EVERY_MS, SLEWED_MS, ENDED_A_CALL = 5000, 20000, 32
local MOST_MESSAGES, MOST_BYTES, MOST_FAULTS, CLAMPED_A_CALL = 64, 65536, 3, 50
local batches, messages, clamped, aside, overdue, latest_ms, latest_phone = 0, 0, 0, 0, 0, 0, ''
if ASKS_RIGHTS then
  allow('ZADD', DUE)
else
  redis.call('ZADD', DUE, 'XX', 0, '')
end

local function last_wait(batch_key)
  local item = redis.pcall('LINDEX', BATCH .. batch_key, -1)
  if type(item) ~= 'string' then return { at = NOW, wait = 0 } end
  local ok, last = pcall(read_item, item)
  return ok and last or { at = NOW, wait = 0 }
end

-- Another daemon may know a rule that lets a message wait longer than all that this one knows: the item says so. Many
-- such batches fill a page: then the pages are looked at in turn, one a second.
-- Returns whether a whole page was clamped, so that there may be more.
local function clamp()
  local furthest = '(' .. whole(NOW + LONGEST_MS)
  local far_away = redis.call('ZCOUNT', DUE, furthest, '+inf')
  if far_away == 0 then return false end
  local pages = math.ceil(far_away / CLAMPED_A_CALL)
  local first = math.floor(NOW / 1000) % pages * CLAMPED_A_CALL
  local behind = math.min(first + CLAMPED_A_CALL, far_away)
  local far = redis.call('ZRANGE', DUE, first, behind - 1, 'REV', 'WITHSCORES')  -- by rank: to skip scores takes long
  for i = 1, #far, 2 do
    local last = last_wait(far[i])
    local is_wrong = last.at > NOW or tonumber(far[i + 1]) > last.at + last.wait
    if is_wrong and not held_until(far[i]) and redis.call('HEXISTS', ASIDE, far[i]) == 0 then
      redis.call('ZADD', DUE, whole(NOW + last.wait), far[i])
      clamped = clamped + 1
    end
  end
  return clamped > 0 and pages > 1
end

-- The latest time is written down now and then, for a daemon that starts later. Behind a jump the steady clock runs 2 %
-- slower or faster, until it shows the server's time again. One step of that is far below what counts as a jump.
local function keep_clock()
  local since = SEEN and NOW - SEEN
  if since and since < SEEN_EVERY_MS then return end
  redis.pcall('HSET', CLOCK, 'seen', whole(NOW))
  if since and STEP ~= 0 then
    local most = math.floor(math.min(since, SLEWED_MS) / 50)
    redis.pcall('HSET', CLOCK, 'step', whole(STEP - math.max(-most, math.min(most, STEP))))
  end
end

-- Returns whether a batch is held now. One that is due all the same was put back into the index: it gets its time
-- again.
local function stays(batch_key, due)
  local until_ms = held_until(batch_key)
  if not until_ms or until_ms <= NOW then return false end
  if due < until_ms then redis.pcall('ZADD', DUE, whole(until_ms), batch_key) end
  return true
end

-- A hold that is over and has no batch to let go is taken off.
local function end_holds()
  if not has_held() then return end
  for _, batch_key in ipairs(redis.call('ZRANGEBYSCORE', HELD, '-inf', whole(NOW), 'LIMIT', 0, ENDED_A_CALL)) do
    if not redis.call('ZSCORE', DUE, batch_key) then pcall(end_hold, batch_key) end
  end
  take_fault()
end

local gone, faults, first_fault, IS_ANY_HELD = 0, 0, nil, has_held()
local function leave(batch_key, due)
  if IS_ANY_HELD and stays(batch_key, due) then return end
  local ok, id, size, late, phone = pcall(hand_over, batch_key, due > NOW and ARGV[7] or '', math.min(due, NOW))
  local fault = take_fault()
  if ok then gone = gone + 1 end
  if ok and id then
    batches, messages = batches + 1, messages + size
    if late > OVERDUE_MS then
      overdue = overdue + 1
      if late > latest_ms then latest_ms, latest_phone = late, phone end
    end
  elseif fault then
    faults, first_fault = faults + 1, first_fault or fault
  elseif not ok then
    aside = aside + 1
    pcall(set_aside, batch_key, id)
    first_fault = first_fault or take_fault()
  end
end

-- What leaves in this call at most, and when it was due. Among all that is pending, what is held is passed over.
local function list_leaving()
  if not ALL then
    return IS_OLDEST and redis.call('ZRANGEBYSCORE', DUE, '-inf', whole(NOW), 'WITHSCORES', 'LIMIT', 0, LIMIT)
      or redis.call('ZREVRANGEBYSCORE', DUE, whole(NOW), '-inf', 'WITHSCORES', 'LIMIT', 0, LIMIT)
  end
  local names, first = {}, 0
  repeat
    local page = redis.call('ZRANGE', DUE, first, first + LIMIT - 1, 'WITHSCORES')
    for i = 1, #page, 2 do
      if not stays(page[i], page[i + 1] + 0) then
        names[#names + 1], names[#names + 2] = page[i], page[i + 1]
      end
    end
    first = first + LIMIT
  until #page < 2 * LIMIT or #names >= 2 * LIMIT
  return names
end

local clamps_more = IS_OLDEST and not ALL and clamp()
local names = list_leaving()
for i = 1, #names, 2 do
  if messages >= MOST_MESSAGES or bytes_read() >= MOST_BYTES or faults >= MOST_FAULTS then break end
  leave(names[i], tonumber(names[i + 1]))
end
end_holds()
write_counts()
keep_clock()
if first_fault then return redis.error_reply(first_fault) end
local next_due = tonumber(redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2] or -1)
local is_left = next_due ~= -1 and (next_due <= NOW or (ALL and gone > 0))
return { batches, messages, next_due, NOW, clamped, (is_left or clamps_more) and 1 or 0, aside, overdue, latest_ms,
  latest_phone, list_measures(), traced_batches() }
