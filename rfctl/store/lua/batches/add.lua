-- include: shared/clock, shared/ids
-- on demand: shared/rights, shared/item, shared/merging, shared/holding, shared/batch
-- on demand: shared/taking_over, shared/id_changes, shared/leaving
-- Stores messages, many in one call; a batch that is full, or that the new message must not join, leaves here.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset)
--       5 batches set aside (hash)   6 until when batches are held (zset)   7 ids seen (hash)   8… the list and the
--       last-msg of each batch
-- ARGV  1 batch prefix   2 last-msg prefix   3 events channel   4 order, overdue_ms and separator (shared/batch)
--       5 dedupe window (s)   6 quiet_ms   7 max_size   8 max_wait_ms: what is usual in this call
--       9… five a message: batch key, mark of its id (a 64-bit number), place of its id * 256 + its kind, item up to
--       `"timestamp":` and when it was sent (Unix ms), if that is known; '' or what is its own: 5 to 8, action
--       (send_alone | send_batch | discard_batch | nothing: what becomes of the batch at once; drop:1:RULE or
--       drop:0:RULE: the message goes nowhere, and with 1 the delivery log has it; or one of shared/taking_over: own_…
--       says that it is no message, and only its id is kept), the length of its key in the sets of layout 1, a space,
--       that key, and the phone
-- Returns two a message: the size of its batch, below 0 or 0 for a message that was seen before; and due in, ms, or why
--         it is not stored: -1 the key holds something else | -2 its batch cannot be handed over, and it must not join
--         that | -3 a rule drops it | -4 - due in, ms: words of our own side, which are no message. Behind them, where
--         batches have left: the list of list_measures, and if any has a trace, that of traced_batches (shared/batch).
-- Without memory it is rejected before it wrote anything.
-- Redis does nothing else meanwhile, and each message passes here. So the usual way is written out at length: it
-- defines no function, reads a batch with one command, and writes a number out once. All else is defined on demand.
local INDEX, LISTS, LASTS, FIRST, FIELDS, LAST_ARG, LAST_MS = KEYS[1], ARGV[1], ARGV[2], 9, 5, #ARGV, '86400000'
local WALL_TEXT = whole(WALL)
local NOW_TEXT = STEP == 0 and WALL_TEXT or whole(NOW)
local WINDOW, QUIET, MAX_SIZE, MAX_WAIT = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local is_any_held = redis.call('ZCARD', KEYS[6]) > 0
local TAIL = ',"receivedAt":' .. NOW_TEXT .. ',"waitMs":' .. QUIET .. '}'

-- A message that is stored and cannot be marked would be taken once more: this is asked first.
if redis.acl_check_cmd then
  if not redis.acl_check_cmd('SADD', IDS .. ':') then
    return redis.error_reply('NOPERM the user of this connection may not run SADD on ' .. IDS .. ':')
  end
else
  redis.call('SADD', LISTS, '')
  redis.call('DEL', LISTS)
end

-- All reads, before the first write. Of each batch its first message: false for no batch, true for somebody's value.
-- Of each message the part of the ids that takes it: '' where there is none yet, nil for an id that was seen before.
local seldom  -- what most calls do not need: to define it costs as much as ten commands
local firsts, parts, own, is_changed = {}, {}, nil, false
for i = FIRST, LAST_ARG, FIELDS do
  local batch_key, mark, number, window = ARGV[i], ARGV[i + 1], ARGV[i + 2] + 0, WINDOW
  local first, part, older, kind = firsts[batch_key], '', '', number % 32
  if first == nil then
    first = redis.pcall('LINDEX', LISTS .. batch_key, '0')
    if first and first.err then  -- a text has no such field
      -- Only this error says that somebody else's value is at the key. Any other means that nothing was done.
      if not string.find(first.err, 'WRONGTYPE', 1, true) then return redis.error_reply(first.err) end
      first = true
    end
    firsts[batch_key] = first
  end
  if ARGV[i + 4] ~= '' then
    own = own or {}
    local fields = { string.match(ARGV[i + 4], '^(%d+) (%d+) (%d+) (%d+) (%S*) (%d+) ()') }
    local length, rest = fields[6], fields[7]
    window, older = fields[1], string.sub(ARGV[i + 4], rest, rest + length - 1)
    fields[6] = string.sub(ARGV[i + 4], rest + length)
    own[i] = fields
  end
  if first ~= true then
    local name = window == WINDOW and kind or window .. ':' .. kind
    local plan, place = plans[name], (number - number % 256) / 256
    if not plan then
      local text = redis.call('HGET', IDS, window .. ':' .. string.char(64 + kind))
      local from, till, prefix, count, at = string.match(text or '', '^(%d+) (%d+)@(%d+:%d+:)(%d+)()')
      if from and from + 0 <= NOW and NOW <= till + 0 then
        plan = { IDS .. ':' .. prefix, count + 0, window = window, kind = kind, takes = 1 }
        while at <= #text do
          local last = #plan
          prefix, count, at = string.match(text, '^@(%d+:%d+:)(%d+)()', at)
          plan[last + 1], plan[last + 2] = IDS .. ':' .. prefix, count + 0
        end
        newest[window] = newest[window] or { prefix = plan[1], parts = plan[2], count = 0 }
      else
        seldom = seldom or define_on_demand()
        plan, is_changed = seldom.plan_ids(window, kind), true
      end
      plans[name] = plan
    end
    local takes = plan.takes
    for k = 1, #plan, 2 do
      local key = plan[k] .. string.format('%d', place % plan[k + 1])
      if redis.call('SISMEMBER', key, mark) == 1 then part = nil break end
      if k == takes then part = key end
    end
    if older ~= '' and NOW < (redis.call('HGET', IDS, 'older') or 0) + 0 then
      -- Layout 1 had a set a time bucket, by the server's clock.
      local sets, bucket = string.sub(IDS, 1, -4) .. 'seen:' .. window .. ':', math.floor(WALL / (window * 1000))
      if redis.call('SISMEMBER', sets .. whole(bucket), older) == 1 then part = nil end
      if redis.call('SISMEMBER', sets .. whole(bucket - 1), older) == 1 then part = nil end
    end
    if part then
      parts[i], plan.is_used = part, true
      if part ~= '' and place % 8 == 0 and redis.call('SCARD', part) >= FULL then
        plan.is_full, is_changed = true, true
      end
    end
  end
end

-- Before the first write of a message: segments begin, and learn of kinds.
if is_changed then
  seldom = seldom or define_on_demand()
  for _, plan in pairs(plans) do
    if plan.is_full or plan.is_slow and plan.is_used then
      local refused = seldom.change_ids('prepare', plan.window, plan.kind, plan.is_full)
      if refused then return refused end
    end
  end
end

-- Watchers are served where they may be: their rights decide nothing about messages.
local followers = redis.pcall('PUBSUB', 'NUMSUB', ARGV[3])
local IS_FOLLOWED = not followers.err and followers[2] > 0

-- Whose a message is, as it is stored: where the texts are the same, it is the same. Plain searches, as in shared/item.
local function whose(item)
  local stop = string.find(item, '","companyId":', 1, true)
  local till = stop and string.find(item, ',"messageId":', stop, true)
  return till and string.sub(item, stop, till)
end

local answers, stored, messages_in, duplicates, fault = {}, LAST_ARG > FIRST + FIELDS and {}, 0, 0, nil
local seen_key, owner, first_at  -- of the batch that was looked at last
local last_due, due_text
for i = FIRST, LAST_ARG, FIELDS do
  local batch_key, mark, part, size, due_in = ARGV[i], ARGV[i + 1], parts[i], 0
  local first = firsts[batch_key]
  if first == true then
    due_in = -1
  elseif not part or stored and stored[mark] == ARGV[i + 2] then
    duplicates = duplicates + 1
    size = -redis.call('LLEN', LISTS .. batch_key)
    due_in = math.max(0, (redis.call('ZSCORE', INDEX, batch_key) or NOW) - NOW)
  else
    local window, quiet, max_size, max_wait, action, phone = WINDOW, QUIET, MAX_SIZE, MAX_WAIT, '', ''
    local tail, ok, joins_at, discarded, rule = TAIL, true, NOW, 0, nil
    local held, is_ours
    if own and own[i] then
      window, quiet, max_size, max_wait, action, phone = unpack(own[i])
      tail = ',"receivedAt":' .. NOW_TEXT .. ',"waitMs":' .. quiet .. '}'
      rule = string.match(action, '^drop:(.+)$')
    end
    if phone == '' then phone = batch_key end
    local begins = action ~= '' and string.byte(action)  -- h begins hold, and o what is no message
    if begins == 104 or begins == 111 or is_any_held and not rule and redis.call('ZSCORE', KEYS[6], batch_key) then
      seldom = seldom or define_on_demand()
      local is_gone
      ok, held, is_gone = pcall(seldom.take_over, batch_key, action, quiet + 0, first and true, phone)
      fault = seldom.take_fault()
      if fault then break end
      if not ok then joins_at = held end
      if first and is_gone then firsts[batch_key], first, seen_key = false, false, nil end
      is_any_held, is_ours = true, begins == 111
    end
    local item = ARGV[i + 3]
    item = item .. (string.byte(item, -1) == 58 and WALL_TEXT or '') .. tail  -- 58 is the colon: no time was told
    if first and ok and not (rule or held or is_ours) then
      if seen_key ~= batch_key then
        seen_key, owner = batch_key, string.sub(first, 1, 12) == '{"message":"' and whose(first)
        first_at = string.match(first, '%d,"receivedAt":(%d+),"waitMs":%d+}$', -50)
      end
      if owner and first_at and owner == whose(item) and (action == '' or action == 'send_batch') then
        joins_at = first_at + 0
        if joins_at > NOW then joins_at = NOW end  -- a clock that jumped back must not put it into the future
      else
        seen_key = nil
        seldom = seldom or define_on_demand()
        -- A batch is one company's, one source's, account's and chat's, real or simulated: what differs hands over what
        -- is pending first, and so does what must leave alone.
        ok, joins_at, discarded = pcall(function()
          local theirs, mine, reason = seldom.read_item(first), seldom.read_item(item), nil
          if seldom.company_of(theirs) ~= seldom.company_of(mine) then
            reason = 'company'
          elseif theirs.belongs ~= mine.belongs then
            reason = 'source'
          elseif action == 'send_alone' then
            reason = 'bypass'
          elseif action ~= 'discard_batch' then
            return math.min(theirs.at, NOW), 0
          end
          local thrown_away = 0
          if reason then seldom.hand_over(batch_key, reason, NOW) else thrown_away = seldom.clear(batch_key) end
          first = false
          return NOW, thrown_away
        end)
        fault = seldom.take_fault()
        if fault then break end
      end
    end
    if not ok then
      pcall(seldom.set_aside, batch_key, joins_at)
      seldom.take_fault()
      due_in = -2
    else
      local due, longest, reply = NOW + quiet, joins_at + max_wait
      if due > longest then due = longest end
      if action ~= '' then due = NOW end
      if held then
        -- A held batch is due when its hold ends; and one that was held already leaves, with this message too.
        due = held > NOW and math.max(held, NOW + quiet) or held
      elseif due < NOW then
        -- The longest wait of a batch that waited for an opening is over at once, and it is not late.
        due = math.max(due, math.min(NOW, (redis.call('ZSCORE', INDEX, batch_key) or NOW) + 0))
      end
      if is_ours then
        size = 1
      elseif not rule then
        if due ~= last_due then last_due, due_text = due, whole(due) end
        reply = redis.pcall('ZADD', INDEX, due_text, batch_key)  -- first: an entry without a list harms nothing
        if reply ~= 0 and reply ~= 1 then fault = reply.err break end
        size = redis.pcall('RPUSH', LISTS .. batch_key, item)
        if type(size) == 'table' then fault = size.err break end
      end
      -- Last the mark: before, any error would lose the message for good.
      local segment = newest[window]
      if segment.count >= segment.parts * FULL / 2 then
        seldom = seldom or define_on_demand()
        reply = seldom.change_ids('begin_next', window, true)
        if reply then fault = reply.err break end
        segment = newest[window]
      end
      segment.count = segment.count + 1
      if segment.is_new or part == '' then
        local number = ARGV[i + 2]
        part = segment.prefix .. string.format('%d', (number - number % 256) / 256 % segment.parts)
      end
      reply = redis.pcall('SADD', part, mark)
      if reply ~= 0 and reply ~= 1 then fault = reply.err break end
      if stored then stored[mark] = ARGV[i + 2] end
      local leaves = false
      if rule then
        local is_logged, name = string.match(rule, '^(%d):(.+)$')
        due_in = -3
        redis.pcall('HINCRBY', KEYS[3], 'dropped:' .. name, '1')
        if is_logged == '1' then  -- as shared/delivery_log has it
          local id = string.match(item, ',"messageId":"(.-)","', (string.find(item, '","companyId":', 1, true)))
          redis.pcall('XADD', string.sub(IDS, 1, -4) .. 'log', '*', 'phone', phone, 'sink', 'rule:' .. name,
            'id', cjson.decode('["' .. id .. '"]')[1], 'outcome', 'dropped', 'attempts', '0', 'took_ms', '')
        end
      elseif is_ours then
        due_in = -4 - (due < NOW and 0 or due - NOW)
      else
        -- Only for people. It goes with its batch, so that a later value need not be given a longer life.
        if first then
          redis.pcall('SET', LASTS .. batch_key, WALL_TEXT, 'KEEPTTL')
        else
          redis.pcall('SET', LASTS .. batch_key, WALL_TEXT, 'PX', LAST_MS)
          firsts[batch_key] = item
          if string.byte(batch_key) == 38 then  -- & begins a batch key that has more than the phone in it
            redis.pcall('ZADD', KEYS[4], '0', phone .. '\0' .. batch_key)
          end
        end
        leaves = not held and (action ~= '' and 'bypass' or size >= max_size + 0 and 'size')
        if leaves == 'size' then
          seldom = seldom or define_on_demand()
          local can_tell, is_true = pcall(seldom.has_max_size, batch_key, max_size + 0)
          if can_tell and not is_true then leaves = false end
          seldom.take_fault()
        end
        due_in, messages_in = (leaves or due < NOW) and 0 or due - NOW, messages_in + 1
      end
      if IS_FOLLOWED and not (rule or is_ours) then
        redis.pcall('PUBLISH', ARGV[3], '{"event":"in","phone":' .. cjson.encode(phone) .. ',"size":' .. size ..
          ',"due_in_ms":' .. whole(due_in) .. ',"item":' .. item .. '}')
      end
      if leaves then
        -- The message is stored and due: what fails from here on is tried again by whoever hands over.
        seldom = seldom or define_on_demand()
        local has_left, problem = pcall(seldom.hand_over, batch_key, leaves, NOW, discarded)
        seen_key = nil
        if has_left then
          firsts[batch_key] = false
        elseif seldom.take_fault() then
          redis.pcall('ZADD', INDEX, NOW_TEXT, batch_key)
        else
          pcall(seldom.set_aside, batch_key, problem)
          seldom.take_fault()
        end
      end
    end
  end
  local place = #answers
  answers[place + 1], answers[place + 2] = size, due_in
end
if is_changed then seldom.change_ids('finish') end
if messages_in > 0 then redis.pcall('HINCRBY', KEYS[3], 'messages_in', messages_in == 1 and '1' or messages_in) end
if duplicates > 0 then redis.pcall('HINCRBY', KEYS[3], 'duplicates', duplicates) end
if seldom then
  seldom.write_counts()
  local measures, traced = seldom.list_measures(), seldom.traced_batches()
  if #measures > 0 then table.insert(answers, measures) end
  if #traced > 0 then table.insert(answers, traced) end
end
return fault and redis.error_reply(fault) or answers
