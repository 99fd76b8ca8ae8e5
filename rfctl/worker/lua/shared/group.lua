-- What the verbs of a worker share. A message in hand is one that the group has read and not acknowledged. The order of
-- them says whose turn it is: of each person (batch key) the first alone is handled, and the others wait for it.
-- KEYS  1 stream   2 order (zset, no scores: batch key NUL id, with zeros before it)   3 remembered ids (zset, Unix ms)
--       4 failures (hash, id → JSON array of at_ms, error and attempt)   5 dead letters (stream)
-- ARGV  1 group   2 consumer   3 1: an entry that is done is deleted too | ''   4 most attempts
-- Gives: NOW, member_of(batch_key, id), id_of(member), value_of(fields, name), batch_key_of(fields), state_of(id),
--        first_of(batch_key), forget(member, id), note_failure(id, error, attempt), bury(member, id, fields),
--        open_next(batch_key, least_idle_ms, is_again), notes.
local STREAM, ORDER, REMEMBERED, FAILURES, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local GROUP, CONSUMER, IS_OURS, MOST = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
local NO_SIGN = '"its worker ended, or gave no sign of life"'
local MOST_FIELDS = 7000 -- so many values a script can pass on to one command
local time = redis.call('TIME')
local NOW = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local notes = {} -- what a worker logs: a word, then the id

local function pad(digits, width) return string.rep('0', width - #digits) .. digits end

local function member_of(batch_key, id)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)$')
  return batch_key .. '\0' .. pad(ms, 15) .. '-' .. pad(seq, 10)
end

local function id_of(member)
  local ms, seq = string.match(member, '%z0*(%d+)%-0*(%d+)$')
  return ms .. '-' .. seq
end

local function value_of(fields, name)
  local value
  for i = 1, #fields - 1, 2 do
    if fields[i] == name then value = fields[i + 1] end
  end
  return value
end

local function batch_key_of(fields) return value_of(fields, 'batch_key') or value_of(fields, 'phone') or '' end

-- Who has an entry, for how long without a sign of life (ms), and how often it was delivered; nil: it is done.
local function state_of(id)
  local row = redis.call('XPENDING', STREAM, GROUP, id, id, 1)[1]
  if row then return row[2], row[3], row[4] end
end

local function first_of(batch_key)
  return redis.call('ZRANGEBYLEX', ORDER, '[' .. batch_key .. '\0', '(' .. batch_key .. '\1', 'LIMIT', 0, 1)[1]
end

-- The order first: what is acknowledged and still stands there would hold its person up.
local function forget(member, id)
  redis.call('ZREM', ORDER, member)
  redis.call('HDEL', FAILURES, id)
  redis.call('XACK', STREAM, GROUP, id)
  if IS_OURS then redis.call('XDEL', STREAM, id) end
end

local function failed_attempt(history) return tonumber(string.match(history or '', '"attempt":(%d+)}%]$')) end

-- A call that is made again, because its answer was lost, notes nothing twice.
local function note_failure(id, error, attempt)
  local before = redis.call('HGET', FAILURES, id) or '[]'
  if failed_attempt(before) == attempt then return before end
  local failure = '{"at_ms":' .. NOW .. ',"error":' .. error .. ',"attempt":' .. attempt .. '}'
  local history = string.sub(before, 1, -2) .. (before == '[]' and '' or ',') .. failure .. ']'
  redis.call('HSET', FAILURES, id, history)
  return history
end

local function bury(member, id, fields, history)
  if #fields > MOST_FIELDS then fields = { 'rfctl:fields', cjson.encode(fields) } end
  redis.call('XADD', DEAD, '*', 'sink', 'group:' .. GROUP, 'id', id, 'tries', history, unpack(fields))
  forget(member, id)
  table.insert(notes, 'dead')
  table.insert(notes, id)
end

local function is_remembered(id, fields)
  local delivery_id = value_of(fields, 'delivery_id')
  return redis.call('ZSCORE', REMEMBERED, delivery_id and delivery_id ~= '' and delivery_id or id)
end

-- Redis gives 0 for a delivery in the future too: after its clock went back, an hour is an hour longer. From now on it
-- counts from this moment, as it does anyway where it is 0 in truth.
local function limit_idle(id, owner, idle)
  if idle == 0 then redis.call('XCLAIM', STREAM, GROUP, owner, 0, id, 'IDLE', 0, 'JUSTID') end
end

-- The next message of a person, as { batch key, id, attempt, fields }, or nil. It is this consumer's then.
-- `is_again`: it was begun before, and whoever had it has given no sign of life for `least_idle_ms`. The caller has no
-- message of this person in hand. So what it took and did not fail at, it has never seen: that answer was lost.
local function open_next(batch_key, least_idle_ms, is_again)
  while true do
    local member = first_of(batch_key)
    if not member then return nil end
    local id = id_of(member)
    local owner, idle, deliveries = state_of(id)
    if owner == CONSUMER and failed_attempt(redis.call('HGET', FAILURES, id)) ~= deliveries then
      least_idle_ms, is_again = 0, false
    end
    if owner and idle < least_idle_ms then
      limit_idle(id, owner, idle)
      return nil
    end
    local entry = redis.call('XRANGE', STREAM, id, id)[1]
    local note
    if not owner then
      redis.call('ZREM', ORDER, member)
      redis.call('HDEL', FAILURES, id)
    elseif not entry then
      note = 'missing'
      forget(member, id)
    elseif is_remembered(id, entry[2]) then
      note = 'repeated'
      forget(member, id)
    elseif is_again and deliveries >= MOST then
      bury(member, id, entry[2], note_failure(id, NO_SIGN, deliveries))
    elseif is_again then
      redis.call('XCLAIM', STREAM, GROUP, CONSUMER, 0, id)
      return { batch_key, id, deliveries + 1, entry[2] }
    else
      redis.call('XCLAIM', STREAM, GROUP, CONSUMER, 0, id, 'JUSTID')
      return { batch_key, id, deliveries, entry[2] }
    end
    if note then
      table.insert(notes, note)
      table.insert(notes, id)
    end
    least_idle_ms, is_again = 0, false -- what is behind has waited, and nobody has begun with it
  end
end
