-- What the verbs about a sink's deliveries share. Needs shared/clock.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
-- ARGV  1 consumer group   2 sink
-- Gives: SINK, RETRY, ATTEMPTS, BODIES, FIXED, is_fixed(score), count(what), wait_in_line(batch_key, id),
--        next_of(batch_key), take(batch_key, id), history(id, problem).
-- A phone waits while its batch key is in `retry`: each later message goes behind those that wait. So the messages of
-- one phone leave in their order, and other phones do not wait.
-- An id in `waiting` is padded (15 and 10 digits), so that it sorts as it was made.
local STREAM, WAITING, RETRY, ATTEMPTS, BODIES, TOTALS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local GROUP, SINK = ARGV[1], ARGV[2]

-- Every check before the first write.
redis.call('XLEN', STREAM)
redis.call('ZCARD', WAITING)
redis.call('ZCARD', RETRY)
redis.call('HLEN', ATTEMPTS)
redis.call('HLEN', BODIES)
redis.call('HLEN', TOTALS)

-- A wait that is fixed is not shortened when the receiver is back: the receiver asked for it, or the message itself
-- is at fault. It is marked in its score, by half a millisecond.
local FIXED = '.5'
local function is_fixed(score) return tonumber(score) % 1 > 0 end

local function count(what) redis.call('HINCRBY', TOTALS, 'sink:' .. SINK .. ':' .. what, 1) end

local function padded(id)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)$')
  return string.rep('0', 15 - #ms) .. ms .. '-' .. string.rep('0', 10 - #seq) .. seq
end

local function plain(id)
  local ms, seq = string.match(id, '^0*(%d+)%-0*(%d+)$')
  return ms .. '-' .. seq
end

local function wait_in_line(batch_key, id) redis.call('ZADD', WAITING, 0, batch_key .. '\0' .. padded(id)) end

-- The first that waits for this phone, or ''; a phone for which nothing waits leaves `retry`.
local function next_of(batch_key)
  local first = redis.call('ZRANGEBYLEX', WAITING, '[' .. batch_key .. '\0', '(' .. batch_key .. '\1', 'LIMIT', 0, 1)[1]
  if first then return plain(string.sub(first, #batch_key + 2)) end
  redis.call('ZREM', RETRY, batch_key)
  return ''
end

-- Take one message off; says whether it was still to be delivered.
local function take(batch_key, id)
  local acked = redis.call('XACK', STREAM, GROUP, id)
  local sent_again = redis.call('HDEL', BODIES, id)
  redis.call('ZREM', WAITING, batch_key .. '\0' .. padded(id))
  redis.call('HDEL', ATTEMPTS, id)
  return acked + sent_again > 0
end

local function history(id, problem)
  local before = redis.call('HGET', ATTEMPTS, id)
  local attempt = '{"at_ms":' .. whole(NOW) .. ',"error":' .. problem .. '}'
  return (before and string.sub(before, 1, -2) .. ',' or '[') .. attempt .. ']'
end
