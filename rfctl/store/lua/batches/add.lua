-- include: shared/clock, shared/rights, shared/item, shared/merging, shared/batch, shared/ids
-- Stores messages, many in one call; a batch that is full, or that the new message must not join, leaves here.
-- KEYS  1 index of due times (zset)   2 output stream   3 totals (hash)   4 phones of hashed batch keys (zset)
--       5 batches set aside (hash)   6 ids seen (hash)   7… the list and the last-msg of each batch
-- ARGV  1 batch prefix   2 last-msg prefix   3 separator   4 order: arrival|sent   5 overdue_ms   6 events channel
--       7 prefix of the sets of ids of layout 1   8 how long last-msg lives, ms
--       9… twelve a message: batch key, mark of its id (a 64-bit number), place of its id (a number), its key in the
--       sets of layout 1 or '', dedupe window (s), quiet_ms, max_size, max_wait_ms,
--       action ('' | send_alone | send_batch | discard_batch: what becomes of the batch at once),
--       item without its last three fields, when it was sent (Unix ms) or '', and the phone
-- Returns three a message: 1 added | 0 seen before | -1 the key holds something else | -2 its batch cannot be handed
--         over, and it must not join that; batch size; due in, ms.
-- Without memory it is rejected before it wrote anything.
local LAST_MS, FIRST, FIELDS, WALL_TEXT = ARGV[8], 9, 12, whole(WALL)
local NOW_TEXT = STEP == 0 and WALL_TEXT or whole(NOW)

-- A message that is stored and cannot be marked would be taken once more: this is asked first.
if ASKS_RIGHTS then
  if not redis.acl_check_cmd('SADD', KEYS[6] .. ':') then return refuse('SADD', KEYS[6] .. ':') end
else
  redis.call('SADD', BATCH, '')
  redis.call('DEL', BATCH)
end
open_ids(KEYS[6])

-- All reads of every batch, before the first write.
local batches, seen = {}, {}
local function look_at(batch_key)
  local size = redis.pcall('LLEN', BATCH .. batch_key)
  local batch = { size = size }
  if type(size) == 'table' then
    if not is_taken(size) then redis.call('LLEN', BATCH .. batch_key) end  -- raises it
    batch = { size = 0, is_taken = true }
  elseif size > 0 then
    local ok, first = pcall(read_item, redis.call('LINDEX', BATCH .. batch_key, 0))
    batch.first, batch.problem = ok and first, not ok and first
  end
  batches[batch_key] = batch
end

for i = FIRST, #ARGV, FIELDS do
  if not batches[ARGV[i]] then look_at(ARGV[i]) end
  if not batches[ARGV[i]].is_taken then
    seen[i] = is_seen(ARGV[i + 4], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[7])
  end
end
for i = FIRST, #ARGV, FIELDS do
  if seen[i] == false then make_place(ARGV[i + 4], tonumber(ARGV[i + 2])) end
end

-- A batch is one company's, one source's, account's and chat's, real or simulated: what differs hands over what
-- is pending first, and so does what must leave alone.
-- Returns the time of the batch's first message, and how many were thrown away; a clock that jumped back must
-- not put that time into the future.
local function make_room(batch_key, batch, item, action)
  batch.first = batch.first or batch.item and read_item(batch.item)
  local first, mine, reason = batch.first, read_item(item), nil
  if not first or company_of(first) ~= company_of(mine) then
    reason = 'company'
  elseif first.belongs ~= mine.belongs then
    reason = 'source'
  elseif action == 'send_alone' then
    reason = 'bypass'
  elseif action ~= 'discard_batch' then
    return math.min(first.at, NOW), 0
  end
  if batch.problem then error(batch.problem, 0) end
  local discarded = 0
  if reason then hand_over(batch_key, reason, NOW) else discarded = clear(batch_key) end
  batch.size, batch.first, batch.item = 0, nil, nil
  return NOW, discarded
end

-- The message is stored and due: what fails from here on is tried again by whoever hands over.
local function try_to_leave(batch_key, batch, reason, discarded)
  local ok, problem = pcall(hand_over, batch_key, reason, NOW, discarded)
  if ok then
    batch.size, batch.first, batch.item = 0, nil, nil
  elseif not take_fault() then
    pcall(set_aside, batch_key, problem)
    take_fault()
  end
end

-- Stores the message at this place of ARGV.
-- Returns that it is added, the size of its batch, and in how many ms that is due.
local function push(i, batch)
  local batch_key, action, quiet = ARGV[i], ARGV[i + 8], ARGV[i + 5]
  local sent = ARGV[i + 10]
  local item = ARGV[i + 9] .. ',"timestamp":' .. (sent ~= '' and sent or WALL_TEXT) ..
    ',"receivedAt":' .. NOW_TEXT .. ',"waitMs":' .. quiet .. '}'
  local first_at, discarded = NOW, 0
  if batch.size > 0 then first_at, discarded = make_room(batch_key, batch, item, action) end
  local leaves = action ~= '' and 'bypass' or batch.size + 1 >= tonumber(ARGV[i + 6]) and 'size'
  local due = leaves and NOW or math.min(NOW + tonumber(quiet), first_at + tonumber(ARGV[i + 7]))
  must(redis.pcall('ZADD', DUE, whole(due), batch_key))  -- first: an entry without a list harms nothing
  local size = must(redis.pcall('RPUSH', BATCH .. batch_key, item))
  remember(ARGV[i + 4], ARGV[i + 1], tonumber(ARGV[i + 2]))  -- last: before, any error would lose the message for good
  redis.pcall('SET', LAST .. batch_key, WALL_TEXT, 'PX', LAST_MS)
  if size == 1 then remember_phone(ARGV[i + 11], batch_key) end
  batch.size = size
  if size == 1 then batch.item = item end
  local due_in = math.max(0, due - NOW)
  if FOLLOWED then publish(function()
    return '{"event":"in","phone":' .. cjson.encode(ARGV[i + 11]) .. ',"size":' .. size ..
      ',"due_in_ms":' .. whole(due_in) .. ',"item":' .. item .. '}'
  end) end
  if leaves then try_to_leave(batch_key, batch, leaves, discarded) end
  count('messages_in', 1)
  return 1, size, due_in
end

local answers, stored = {}, {}
for i = FIRST, #ARGV, FIELDS do
  local batch, mark, ok = batches[ARGV[i]], ARGV[i + 1], true
  local state, size, due_in = -1, 0, 0
  if seen[i] or stored[mark] == ARGV[i + 2] then
    count('duplicates', 1)
    due_in = math.max(0, (tonumber(redis.call('ZSCORE', DUE, ARGV[i]) or NOW)) - NOW)
    state, size = 0, batch.size
  elseif not batch.is_taken then
    ok, state, size, due_in = pcall(push, i, batch)
    stored[mark] = ARGV[i + 2]
  end
  local fault = take_fault()
  if fault then
    write_counts()
    return redis.error_reply(fault)
  elseif not ok then
    pcall(set_aside, ARGV[i], state)
    take_fault()
    stored[mark] = nil
    state, size, due_in = -2, 0, 0
  end
  table.insert(answers, state)
  table.insert(answers, size)
  table.insert(answers, due_in)
end
free_ids()
write_counts()
return answers
