-- What the verbs about batches share. Needs shared/clock, shared/rights, shared/item, shared/merging and
-- shared/holding.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset without
--       scores: phone NUL batch key)   5 batches set aside (hash: batch key → JSON)   6 of shared/holding
-- ARGV  1 batch prefix   2 last-msg prefix   3 events channel   4 order: arrival|sent, overdue_ms and separator, with
--       a space behind each but the last
-- Gives: DUE, ASIDE, BATCH, LAST, OVERDUE_MS, FOLLOWED, count(what, by), write_counts(), publish(build),
--        bytes_read(), list_measures(), traced_batches(), clear(batch_key), set_aside(batch_key, problem),
--        hand_over(batch_key, reason, due, discarded), has_max_size(batch_key, max_size).
-- The keys of a batch are the prefixes with its batch key behind them: same hash tag, same slot.
-- A write that can be refused goes through `must`, or does not matter to any message: then its error is dropped.
local DUE, OUT, TOTALS, PHONES, ASIDE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local BATCH, LAST, EVENTS = ARGV[1], ARGV[2], ARGV[3]
local ORDER, OVERDUE_MS, SEPARATOR = string.match(ARGV[4], '^(%l+) (%d+) (.*)$')
OVERDUE_MS = OVERDUE_MS + 0
local ASIDE_MS, HIDDEN = 30000, 38  -- & begins a batch key that has more than the phone in it
local PART_MESSAGES, PART_BYTES, PAGE = 1000, 1048576, 64  -- of a batch that was held, in a merged message
local counts, bytes, leaving, traced = {}, 0, nil, {}
local measures, measured = {}, 0
local MOST_SPARED = 100  -- an album counts as one, but no batch may grow for ever

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
    if has_held() then allow('LTRIM', BATCH) end
  else
    -- No batch has an empty key, and no index an empty member. XADD first: it is refused where memory is full.
    must(redis.pcall('XADD', BATCH, 'NOMKSTREAM', '*', 'right', ''))
    must(redis.pcall('DEL', BATCH))
    must(redis.pcall('ZREM', DUE, ''))
    if has_held() then must(redis.pcall('LTRIM', BATCH, '0', '0')) end
  end
  local merge = define_merging(ORDER, SEPARATOR, measures)

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

  -- A time of the steady clock (digits) as the server's clock has it.
  local function server_time(at) return STEP == 0 and at or whole(at + STEP) end

  -- Behind its entry, a batch goes, or `size` messages of one that leaves in parts; and the entry goes again when they
  -- cannot: twice would be worse.
  local function leave_behind(batch_key, id, size)
    local deleted
    if size then
      deleted = redis.pcall('LTRIM', BATCH .. batch_key, size, '-1')
    else
      deleted = delete_batch(batch_key)
    end
    if type(deleted) == 'table' and deleted.err and id ~= '' then redis.pcall('XDEL', OUT, id) end
    must(deleted)
    if not size then must(redis.pcall('ZREM', DUE, batch_key)) end
  end

  -- The items of a batch, or nil: somebody wrote over its list, or took it away. Then no other batch waits for it.
  local function items_of(batch_key, last)
    local items = redis.pcall('LRANGE', BATCH .. batch_key, 0, last)
    local is_lost = items.err and is_taken(items)
    if not is_lost then must(items) end
    if not is_lost and #items > 0 then return items end
    if must(redis.pcall('ZREM', DUE, batch_key)) == 1 then count(is_lost and 'keys_taken' or 'batches_missing', 1) end
  end

  -- How many messages are in an album behind its first one.
  local function count_spared(items)
    local albums, spared = {}, 0
    for _, item in ipairs(items) do
      local stop = scan_item(item)
      local head = stop and sub(item, stop, find(item, ',"metadata":', stop, true))
      local album = head and match(head, ',"album":(".-")[,}]')
      if album and albums[album] then spared = spared + 1 end
      if album then albums[album] = true end
    end
    return math.min(spared, MOST_SPARED)
  end

  -- Say whether a batch has as many messages as it may; an album counts as one. What was read is kept for hand_over.
  local looked_at, looked_items, looked_batch, looked_length
  leaving.has_max_size = function(batch_key, max_size)
    local items = items_of(batch_key, -1)
    if not items then return true end
    local batch, length = merge(batch_key, items, measured)
    if batch.is_unusual and #items - count_spared(items) < max_size then return false end
    looked_at, looked_items, looked_batch, looked_length = batch_key, items, batch, length
    return true
  end

  -- A batch that was held may be long, and have messages of several owners, which must not be mixed. So it leaves in
  -- parts. Returns the first: messages of one owner, a bounded number and few bytes, in any case one; and whether more
  -- are left.
  local function part_of(batch_key)
    local part, owner, length, first = {}, nil, 0, 0
    repeat
      local page = must(redis.pcall('LRANGE', BATCH .. batch_key, first, first + PAGE - 1))
      for i = 1, #page do
        local read = read_item(page[i])
        local whose = company_of(read) .. '\0' .. (read.belongs or '')
        if first + i > 1 and (whose ~= owner or length + #page[i] > PART_BYTES or #part == PART_MESSAGES) then
          return part, true
        end
        part[#part + 1], owner, length = page[i], whose, length + #page[i]
      end
      first = first + PAGE
    until #page < PAGE
    return part, false
  end

  -- As items_of for a batch that was held, and how many of them leave now when more are left behind.
  local function leaving_items(batch_key)
    local items, has_more = items_of(batch_key, 0), false
    if items then items, has_more = part_of(batch_key) end
    return items, has_more and #items or nil
  end

  -- Move a whole batch to the output stream, or the first part of one that was held: the rest stays due. reason ''
  -- lets the timers say why. due is what it was due at (Unix ms), or NOW when it was not yet; discarded is how many
  -- messages before it a rule has thrown away.
  -- Returns the entry's id, how many messages left, how late they are (ms) and the phone; or nil and 0 for no batch.
  -- The id is '' where the batch said nothing: then it is dropped, and counted.
  leaving.hand_over = function(batch_key, reason, due, discarded)
    local was_held, items, size = held_until(batch_key), looked_items, nil
    local batch, length = looked_batch, looked_length
    if looked_at ~= batch_key then
      if was_held then items, size = leaving_items(batch_key) else items = items_of(batch_key, -1) end
      if not items then return nil, 0 end
      batch, length = merge(batch_key, items, measured)
    end
    looked_at = nil
    if was_held and reason == '' then reason = 'released' end
    local late, owner, id = math.max(0, NOW - due), batch.owner, ''
    bytes = bytes + length
    if batch.text then
      if reason == '' then reason = batch.last_at + batch.wait <= due and 'quiet' or 'max-wait' end
      id = must(redis.pcall('XADD', OUT, '*', 'phone', batch.phone, 'company', owner.company or '', 'text', batch.text,
        'count', whole(batch.number), 'reason', reason, 'first_ms', server_time(batch.first_at),
        'last_ms', server_time(batch.newest_at), 'late_ms', whole(late),
        'oldest_sent_ms', batch.oldest_sent or '', 'channel', owner.channel or '',
        'platform', owner.platform or '', 'account', owner.account or '', 'chat', owner.chat or '',
        'simulated', owner.simulated and '1' or '0', 'discarded', discarded and whole(discarded) or '0',
        'batch_key', batch_key, 'delivery_id', batch.delivery_id, 'messages', batch.messages,
        unpack(batch.more)))
      leave_behind(batch_key, id, size)
      if batch.more[2] then
        traced[#traced + 1] = { id, batch.delivery_id, batch.more[2], reason, batch.number,
          server_time(batch.first_at) }
      end
      count('merged', 1)
    else
      reason = 'empty'
      leave_behind(batch_key, id, size)
    end
    if not size then
      forget_traces(batch_key, batch.phone)
      if was_held and was_held <= NOW then end_hold(batch_key) end
    end
    count('messages_out', #items)
    count('reason:' .. reason, 1)
    if batch.number < #items then count('repeats_dropped', #items - batch.number) end
    if late > OVERDUE_MS then count('stale', 1) end
    measured = measured + #items + 1
    measures[measured - 1] = late  -- in their order: else Lua builds the list anew each time
    measures[measured] = batch.first_at - NOW - 1
    if FOLLOWED then publish(function()
      return '{"event":"out","id":"' .. id .. '","phone":' .. cjson.encode(batch.phone) ..
        ',"reason":"' .. reason .. '","count":' .. batch.number .. ',"waited_ms":' .. whole(NOW - batch.first_at) ..
        ',"late_ms":' .. whole(late) .. ',"discarded":' .. whole(discarded or 0) .. ',"at_ms":' .. whole(WALL) ..
        ',"text":' .. cjson.encode(batch.text or '') .. '}'
    end) end
    return id, #items, late, batch.phone
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

local function has_max_size(...) return open_leaving().has_max_size(...) end
local function hand_over(...) return open_leaving().hand_over(...) end
local function clear(...) return open_leaving().clear(...) end

-- How many bytes of messages were read to be handed over.
local function bytes_read() return bytes end

-- What has left in this call, ms: of each batch the gap before each message but the first, how late it is, and how long
-- the first had waited. That is -1 - the time: it is below 0, and ends the batch.
local function list_measures()
  for i = measured + 1, #measures do measures[i] = nil end  -- of a batch that has not left
  return measures
end

-- Of each batch that was handed over and has a trace: its entry's id, its delivery id, traceparents (JSON), reason,
-- number of messages, and first_ms.
local function traced_batches() return traced end
