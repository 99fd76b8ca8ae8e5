-- What the verbs about batches share. Needs shared/clock, shared/rights and shared/item.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset without
--       scores: phone NUL batch key)   5 batches set aside (hash: batch key → JSON)
-- ARGV  1 batch prefix   2 last-msg prefix   3 separator   4 order: arrival|sent   5 overdue_ms   6 events channel
-- Gives: DUE, ASIDE, BATCH, LAST, OVERDUE_MS, FOLLOWED, count(what, by), write_counts(), publish(build),
--        bytes_read(), clear(batch_key), set_aside(batch_key, problem),
--        hand_over(batch_key, reason, due, discarded).
-- The keys of a batch are the prefixes with its batch key behind them: same hash tag, same slot.
-- A write that can be refused goes through `must`, or does not matter to any message: then its error is dropped.
local DUE, OUT, TOTALS, PHONES, ASIDE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local BATCH, LAST, SEPARATOR, ORDER = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local OVERDUE_MS, EVENTS = ARGV[5] + 0, ARGV[6]
local ASIDE_MS, HIDDEN = 30000, 38  -- & begins a batch key that has more than the phone in it
local counts, bytes, leaving = {}, 0, nil

-- Watchers are served where they may be: their rights decide nothing about messages.
local followers = redis.pcall('PUBSUB', 'NUMSUB', EVENTS)
local FOLLOWED = not followers.err and followers[2] > 0

local function count(what, by) counts[what] = (counts[what] or 0) + by end

local function write_counts()
  for what, by in pairs(counts) do redis.pcall('HINCRBY', TOTALS, what, by) end
end

-- build returns the event.
local function publish(build)
  local ok, event = pcall(build)
  if ok then redis.pcall('PUBLISH', EVENTS, event) end
end

-- How batches leave. It is defined when the first one leaves: every check is made then.
local function define_leaving()
  -- Every check before the first write.
  must(redis.pcall('ZCARD', DUE))
  must(redis.pcall('XLEN', OUT))
  local has_aside = must(redis.pcall('HLEN', ASIDE)) > 0
  if ASKS_RIGHTS then
    allow('XADD', OUT)
    allow('DEL', BATCH)
    allow('ZREM', DUE)
  else
    -- No batch has an empty key, and no index an empty member. XADD first: it is refused where memory is full.
    must(redis.pcall('XADD', BATCH, 'NOMKSTREAM', '*', 'right', ''))
    must(redis.pcall('DEL', BATCH))
    must(redis.pcall('ZREM', DUE, ''))
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
  -- message is stored, so a call that broke between the two may have stored it twice. Then the first and the last to
  -- arrive, and when the last one did.
  local function parts_of(items)
    local parts, ids, last, last_at = {}, {}, nil, 0
    for i, item in ipairs(items) do
      local part = read_item(item)
      bytes = bytes + #item
      last, last_at = part, math.max(last_at, part.at)
      part.place = i
      if not (part.id and ids[part.id]) then table.insert(parts, part) end
      if part.id then ids[part.id] = true end
    end
    local first = parts[1]
    if ORDER == 'sent' then sort_by_sent(parts) end
    return parts, first, last, last_at
  end

  -- What lies between the text and the metadata, as it is stored.
  local function raw_head(part)
    return string.sub(part.json, part.stop, string.find(part.json, ',"metadata":', part.stop, true))
  end

  -- An edit or a deletion changes the text of the message that it refers to, when that one is still in the batch;
  -- the originals travel along as they came.
  local function apply_changes(parts)
    local places = {}
    for i, part in ipairs(parts) do
      if part.id then places[part.id] = i end
      local change = part.stop and string.match(part.json, '","type":"(%a+)"', part.stop)
      if change == 'edit' or change == 'deletion' then
        local place = places[string.match(raw_head(part), ',"refers":"(.-)"[,}]')]
        part.only_text = true
        if place and place ~= i then
          parts[place].text = change == 'edit' and part.text or '""'
          parts[place].only_text = change == 'deletion'
          part.text = '""'
        end
      end
    end
  end

  -- White space: ASCII's own, and what keyboards and phones put in its place.
  local SPACES = { '\194\160', '\226\128[\128-\143\175]', '\226\129[\159\160]', '\227\128\128', '\239\187\191',
    '\225\160\142', '\226\160\128', '\194\173' }
  local function is_blank(text)
    if not string.find(text, '[^%s]') then return true end
    if string.find(text, '[%w%p]') then return false end
    for _, space in ipairs(SPACES) do text = string.gsub(text, space, '') end
    return not string.find(text, '[^%s]')
  end

  -- Most texts have no escape, and to copy one is much faster than to decode it.
  local function text_of_part(part)
    if not string.find(part.text, '\\', 1, true) then return string.sub(part.text, 2, -2) end
    return cjson.decode('[' .. part.text .. ']')[1]
  end

  -- A text, an edit or a deletion without a text says nothing. Anything else is something: a picture, a place.
  local function says_something(part)
    if not is_blank(text_of_part(part)) then return true end
    if part.only_text then return false end
    if not part.stop then return true end
    local kind = string.match(part.json, '","type":"(%a+)"', part.stop)
    return kind ~= 'text' or string.find(raw_head(part), ',"media":[', 1, true) ~= nil
  end

  local function say_something(parts)
    for _, part in ipairs(parts) do
      if says_something(part) then return true end
    end
    return false
  end

  local function text_of(parts)
    local texts = {}
    for _, part in ipairs(parts) do
      if part.text ~= '""' then table.insert(texts, text_of_part(part)) end
    end
    return table.concat(texts, SEPARATOR)
  end

  -- What only helps to find a batch goes with it.
  local function forget_traces(batch_key, phone)
    if string.byte(batch_key) == HIDDEN then redis.pcall('ZREM', PHONES, phone .. '\0' .. batch_key) end
    if has_aside then redis.pcall('HDEL', ASIDE, batch_key) end
  end

  -- The list first: without it, an entry of the index harms nothing. Nobody misses the time of the last message.
  local function delete_batch(batch_key)
    local deleted = redis.pcall('DEL', BATCH .. batch_key, LAST .. batch_key)
    if type(deleted) == 'table' and deleted.err then deleted = redis.pcall('DEL', BATCH .. batch_key) end
    return deleted
  end

  -- Throw a batch away; returns how many messages it had.
  leaving.clear = function(batch_key)
    local size = must(redis.pcall('LLEN', BATCH .. batch_key))
    local first = string.byte(batch_key) == HIDDEN and redis.call('LINDEX', BATCH .. batch_key, 0)
    must(delete_batch(batch_key))
    must(redis.pcall('ZREM', DUE, batch_key))
    forget_traces(batch_key, first and head_of(read_item(first)).phone or batch_key)
    if size > 0 then count('messages_discarded', size); count('discarded', 1) end
    return size
  end

  -- The id by which receivers know a merged message: it follows from its messages and the time of the first. So it
  -- stays the same where a failover has lost the hand-over, and that of any other merged message differs.
  local function delivery_id(batch_key, parts, first)
    local ids = { batch_key, whole(first.at) }
    for _, part in ipairs(parts) do table.insert(ids, part.id or part.json) end
    return 'msg_' .. string.sub(redis.sha1hex(table.concat(ids, '\0')), 1, 24)
  end

  -- Nothing is written before the batch was read, and the entry goes again when its list cannot: twice would be worse.
  local function move(batch_key, ...)
    local id = must(redis.pcall('XADD', OUT, '*', ...))
    local deleted = delete_batch(batch_key)
    if type(deleted) == 'table' and deleted.err then redis.pcall('XDEL', OUT, id) end
    must(deleted)
    must(redis.pcall('ZREM', DUE, batch_key))
    return id
  end

  -- The items of a batch, or nil: somebody wrote over its list, or took it away. Then no other batch waits for it.
  local function items_of(batch_key)
    local items = redis.pcall('LRANGE', BATCH .. batch_key, 0, -1)
    local is_lost = items.err and is_taken(items)
    if not is_lost then must(items) end
    if not is_lost and #items > 0 then return items end
    if must(redis.pcall('ZREM', DUE, batch_key)) == 1 then count(is_lost and 'keys_taken' or 'batches_missing', 1) end
  end

  -- Move a whole batch to the output stream. reason '' lets the timers say why. due is what it was due at (Unix ms), or
  -- NOW when it was not yet; discarded is how many messages before it a rule has thrown away.
  -- Returns the entry's id, how many messages left, how late they are (ms) and the phone; or nil and 0 for no batch.
  -- The id is '' where the batch said nothing: then it is dropped, and counted.
  leaving.hand_over = function(batch_key, reason, due, discarded)
    local items = items_of(batch_key)
    if not items then return nil, 0 end
    local parts, first, last, last_at = parts_of(items)
    local jsons, head = {}, head_of(first)
    for i, part in ipairs(parts) do
      jsons[2 * i - 1] = i == 1 and '[' or ','
      jsons[2 * i] = part.json
    end
    table.insert(jsons, ']')
    apply_changes(parts)
    local text, phone, late = text_of(parts), head.phone or batch_key, math.max(0, NOW - due)
    if reason == '' then reason = last.at + last.wait <= due and 'quiet' or 'max-wait' end
    local id = ''
    if say_something(parts) then
      id = move(batch_key, 'phone', phone, 'company', company_of(first), 'text', text, 'count', #parts,
        'reason', reason, 'first_ms', whole(first.at + STEP), 'last_ms', whole(last_at + STEP), 'late_ms', whole(late),
        'channel', head.channel or '', 'platform', head.platform or '', 'account', head.account or '',
        'chat', head.chat or '', 'simulated', head.simulated and '1' or '0', 'discarded', discarded or 0,
        'batch_key', batch_key, 'delivery_id', delivery_id(batch_key, parts, first),
        'messages', table.concat(jsons))
      count('merged', 1)
    else
      must(delete_batch(batch_key))
      must(redis.pcall('ZREM', DUE, batch_key))
      reason = 'empty'
    end
    forget_traces(batch_key, phone)
    count('messages_out', #items)
    count('reason:' .. reason, 1)
    if #parts < #items then count('repeats_dropped', #items - #parts) end
    if late > OVERDUE_MS then count('stale', 1) end
    if FOLLOWED then publish(function()
      return '{"event":"out","id":"' .. id .. '","phone":' .. cjson.encode(phone) ..
        ',"reason":"' .. reason .. '","count":' .. #parts .. ',"waited_ms":' .. whole(NOW - first.at) ..
        ',"late_ms":' .. whole(late) .. ',"discarded":' .. whole(discarded or 0) .. ',"at_ms":' .. whole(WALL) ..
        ',"text":' .. cjson.encode(text) .. '}'
    end) end
    return id, #items, late, phone
  end
end

-- A batch that cannot be handed over waits, and is tried again; the others leave.
local function set_aside(batch_key, problem)
  local why = cjson.encode(string.sub(tostring(problem), 1, 300))
  redis.pcall('HSET', ASIDE, batch_key, '{"at_ms":' .. whole(WALL) .. ',"why":' .. why .. '}')
  must(redis.pcall('ZADD', DUE, whole(NOW + ASIDE_MS), batch_key))
  count('set_aside', 1)
end

local function open_leaving()
  if not leaving then
    leaving = {}
    local ok, problem = pcall(define_leaving)
    if not ok then
      leaving = nil
      error(problem, 0)
    end
  end
  return leaving
end

local function hand_over(...) return open_leaving().hand_over(...) end
local function clear(...) return open_leaving().clear(...) end

-- How many bytes of messages were read to be handed over.
local function bytes_read() return bytes end
