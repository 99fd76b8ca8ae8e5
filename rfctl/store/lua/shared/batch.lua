-- What the verbs about batches share. Needs shared/clock and shared/item.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)
-- ARGV  1 batch prefix   2 last-msg prefix   3 separator   4 order: arrival|sent   5 overdue_ms   6 events channel
-- Gives: DUE, BATCH, LAST, OVERDUE_MS, FOLLOWED, count(what, by), write_counts(), publish(event), clear(batch_key),
--        hand_over(batch_key, reason, due, discarded).
-- The keys of a batch are the prefixes with its batch key behind them: same hash tag, same slot.
local DUE, OUT, TOTALS = KEYS[1], KEYS[2], KEYS[3]
local BATCH, LAST, SEPARATOR, ORDER = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local OVERDUE_MS, EVENTS = tonumber(ARGV[5]), ARGV[6]
local FOLLOWED = redis.call('PUBSUB', 'NUMSUB', EVENTS)[2] > 0
local counts = {}

-- Every check before the first write: a script that stops half-way keeps what it wrote.
redis.call('ZCARD', DUE)
redis.call('XLEN', OUT)
redis.call('HLEN', TOTALS)

local function count(what, by) counts[what] = (counts[what] or 0) + by end

local function write_counts()
  for what, by in pairs(counts) do redis.call('HINCRBY', TOTALS, what, by) end
end

local function publish(event)
  if FOLLOWED then redis.call('PUBLISH', EVENTS, event) end
end

-- By the time of sending; what was sent at the same time stays as it arrived. Most providers tell whole seconds, and
-- what they give no time has the ms of Redis: where any time is a whole second, no two are compared more closely.
local function sort_by_sent(parts)
  local unit = 1
  for _, part in ipairs(parts) do
    if part.sent % 1000 == 0 then unit = 1000 end
  end
  for _, part in ipairs(parts) do part.rank = math.floor(part.sent / unit) end
  table.sort(parts, function(a, b) return a.rank < b.rank or (a.rank == b.rank and a.place < b.place) end)
end

-- The parts of a batch, in the order asked for, each message id once: an id is marked as seen after its
-- message is stored, so a call that broke between the two may have stored it twice.
local function parts_of(items)
  local parts, ids, last_at = {}, {}, 0
  for i, item in ipairs(items) do
    local part = read_item(item)
    last_at = math.max(last_at, part.at)
    part.place = i
    if part.id and ids[part.id] then count('repeats_dropped', 1) else table.insert(parts, part) end
    if part.id then ids[part.id] = true end
  end
  local first = parts[1]
  if ORDER == 'sent' then sort_by_sent(parts) end
  return parts, first, last_at
end

-- An edit or a deletion changes the text of the message that it refers to, when that one is still in the batch;
-- the originals travel along as they came.
local function apply_changes(parts)
  local places = {}
  for i, part in ipairs(parts) do
    if part.id then places[part.id] = i end
    local change = part.stop and string.match(part.json, '","type":"(%a+)"', part.stop)
    if change == 'edit' or change == 'deletion' then
      local head = string.sub(part.json, part.stop, string.find(part.json, ',"metadata":', part.stop, true))
      local place = places[string.match(head, ',"refers":"(.-)"[,}]')]
      if place and place ~= i then
        parts[place].text = change == 'edit' and part.text or '""'
        part.text = '""'
      end
    end
  end
end

local function text_of(parts)
  local texts = {}
  for _, part in ipairs(parts) do
    if part.text ~= '""' then table.insert(texts, cjson.decode('[' .. part.text .. ']')[1]) end
  end
  return table.concat(texts, SEPARATOR)
end

-- Throw a batch away; returns how many messages it had.
local function clear(batch_key)
  local size = redis.call('LLEN', BATCH .. batch_key)
  redis.call('DEL', BATCH .. batch_key, LAST .. batch_key)
  redis.call('ZREM', DUE, batch_key)
  if size > 0 then count('messages_discarded', size); count('discarded', 1) end
  return size
end

-- The id by which receivers know a merged message: it follows from its messages and the time of the first. So it stays
-- the same where a failover has lost the hand-over, and that of any other merged message differs.
local function delivery_id(batch_key, parts, first)
  local ids = { batch_key, whole(first.at) }
  for _, part in ipairs(parts) do table.insert(ids, part.id or part.json) end
  return 'msg_' .. string.sub(redis.sha1hex(table.concat(ids, '\0')), 1, 24)
end

-- Move a whole batch to the output stream; due is what it was due at (Unix ms), or NOW when it was not yet;
-- discarded is how many messages before it a rule has thrown away.
-- Returns the entry's id, how many messages left, how late they are (ms) and the phone; or nil and 0 for no batch.
local function hand_over(batch_key, reason, due, discarded)
  local items = redis.pcall('LRANGE', BATCH .. batch_key, 0, -1)
  -- Somebody wrote over our list: it is counted, and no other batch waits for it.
  if items.err then count('keys_taken', 1) end
  if items.err or #items == 0 then redis.call('ZREM', DUE, batch_key); return nil, 0 end
  local parts, first, last_at = parts_of(items)
  local jsons, head = {}, head_of(first)
  for i, part in ipairs(parts) do jsons[i] = part.json end
  apply_changes(parts)
  local text, phone, late = text_of(parts), head.phone or batch_key, math.max(0, NOW - due)
  local id = redis.call('XADD', OUT, '*', 'phone', phone, 'company', company_of(first), 'text', text,
    'count', #parts, 'reason', reason, 'first_ms', whole(first.at + STEP), 'last_ms', whole(last_at + STEP),
    'late_ms', whole(late), 'channel', head.channel or '', 'platform', head.platform or '',
    'account', head.account or '', 'chat', head.chat or '', 'simulated', head.simulated and '1' or '0',
    'discarded', discarded or 0, 'batch_key', batch_key, 'delivery_id', delivery_id(batch_key, parts, first),
    'messages', '[' .. table.concat(jsons, ',') .. ']')
  redis.call('DEL', BATCH .. batch_key, LAST .. batch_key)
  redis.call('ZREM', DUE, batch_key)
  count('merged', 1); count('messages_out', #items); count('reason:' .. reason, 1)
  if late > OVERDUE_MS then count('stale', 1) end
  publish(FOLLOWED and '{"event":"out","id":"' .. id .. '","phone":' .. cjson.encode(phone) ..
    ',"reason":"' .. reason .. '","count":' .. #parts .. ',"waited_ms":' .. whole(NOW - first.at) ..
    ',"late_ms":' .. whole(late) .. ',"discarded":' .. whole(discarded or 0) ..
    ',"text":' .. cjson.encode(text) .. '}')
  return id, #items, late, phone
end
