-- What the verbs about a sink's deliveries share. Needs shared/clock.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
-- ARGV  1 consumer group   2 sink
-- Gives: SINK, RETRY, ATTEMPTS, BODIES, FIXED, is_fixed(score), count(what, by or 1), note(what),
--        wait_in_line(batch_key, id), first_of(batch_key), next_of(batch_key), is_left(id), take(batch_key, id),
--        history(id, problem).
-- A batch key waits while it is in `retry`: each later message goes behind those that wait. So the messages of one
-- batch key leave in their order, and others do not wait.
-- An id in `waiting` is padded (15 and 10 digits), so that it sorts as it was made.
local STREAM, WAITING, RETRY, ATTEMPTS, BODIES, TOTALS, PROGRESS = unpack(KEYS, 1, 7)
local GROUP, SINK = ARGV[1], ARGV[2]

-- Every check before the first write: each command by which a message is taken off, here without effect. So a key of
-- another kind and a right that is missing are found while the message is where it was, on every version of Redis.
redis.call('XACK', STREAM, GROUP, '0-0')
redis.call('ZREM', WAITING, '')
redis.call('ZREM', RETRY, '')
redis.call('HDEL', ATTEMPTS, '')
redis.call('HDEL', BODIES, '')

-- Most of the time nothing of the sink waits: then there is nothing to take off or to find in these keys.
local IS_ANY_LEFT = redis.call('EXISTS', WAITING, RETRY, ATTEMPTS, BODIES) > 0

-- A wait that is fixed is not shortened when the receiver is back: the receiver asked for it, or the message itself
-- is at fault. It is marked in its score, by half a millisecond.
local FIXED = '.5'
local function is_fixed(score) return tonumber(score) % 1 > 0 end

-- Counters are for people who watch: they never fail a delivery.
local function count(what, by) redis.pcall('HINCRBY', TOTALS, 'sink:' .. SINK .. ':' .. what, by or 1) end
local function note(what) redis.pcall('HSET', PROGRESS, what, whole(NOW)) end

local function padded(id)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)$')
  return string.rep('0', 15 - #ms) .. ms .. '-' .. string.rep('0', 10 - #seq) .. seq
end

local function plain(id)
  local ms, seq = string.match(id, '^0*(%d+)%-0*(%d+)$')
  return ms .. '-' .. seq
end

local function wait_in_line(batch_key, id) redis.call('ZADD', WAITING, 0, batch_key .. '\0' .. padded(id)) end

-- The first that waits for this batch key, or nil.
local function first_of(batch_key)
  local first = redis.call('ZRANGEBYLEX', WAITING, '[' .. batch_key .. '\0', '(' .. batch_key .. '\1', 'LIMIT', 0, 1)[1]
  return first and plain(string.sub(first, #batch_key + 2))
end

-- The first that waits for this batch key, or ''; a batch key for which nothing waits leaves `retry`.
local function next_of(batch_key)
  if not IS_ANY_LEFT then return '' end
  local first = first_of(batch_key)
  if not first then redis.call('ZREM', RETRY, batch_key) end
  return first or ''
end

-- Whether a message is still to be delivered: unacknowledged, or sent again by an operator.
local function is_left(id)
  return #redis.call('XPENDING', STREAM, GROUP, id, id, 1) > 0 or redis.call('HEXISTS', BODIES, id) == 1
end

-- Take one message off, last of all that is written for it; says whether it was still to be delivered.
local function take(batch_key, id)
  if not IS_ANY_LEFT then return redis.call('XACK', STREAM, GROUP, id) > 0 end
  redis.call('ZREM', WAITING, batch_key .. '\0' .. padded(id))
  redis.call('HDEL', ATTEMPTS, id)
  local sent_again = redis.call('HDEL', BODIES, id)
  return redis.call('XACK', STREAM, GROUP, id) + sent_again > 0
end

local function history(id, problem)
  local before = string.match(redis.call('HGET', ATTEMPTS, id) or '', '^%[{.*}%]$')
  local attempt = '{"at_ms":' .. whole(WALL) .. ',"error":' .. problem .. '}'
  return (before and string.sub(before, 1, -2) .. ',' or '[') .. attempt .. ']'
end
