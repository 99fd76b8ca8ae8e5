-- What the verbs about a sink's deliveries share. Needs shared/clock.
-- KEYS  1 output stream   2 waiting (zset, no scores: name NUL id)   3 retry (zset, name → when, Unix ms)
--       4 tries (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
-- ARGV  1 consumer group   2 sink
-- Gives: SINK, RETRY, TRIES, BODIES, FIXED, is_fixed(score), count(what), wait_in_line(name, id), next_of(name),
--        take(name, id), history(id, try).
-- A phone is held while its name is in `retry`: whatever comes for it goes behind what waits, so that one
-- person's messages leave in their order, and nobody else's wait for them.
-- An id in `waiting` is padded (15 and 10 digits), so that it sorts as it was made.
local STREAM, WAITING, RETRY, TRIES, BODIES, TOTALS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local GROUP, SINK = ARGV[1], ARGV[2]

-- Every check before the first write.
redis.call('XLEN', STREAM)
redis.call('ZCARD', WAITING)
redis.call('ZCARD', RETRY)
redis.call('HLEN', TRIES)
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

local function wait_in_line(name, id) redis.call('ZADD', WAITING, 0, name .. '\0' .. padded(id)) end

-- The first that waits for this phone, or ''; a phone for which nothing waits is held no more.
local function next_of(name)
  local first = redis.call('ZRANGEBYLEX', WAITING, '[' .. name .. '\0', '(' .. name .. '\1', 'LIMIT', 0, 1)[1]
  if first then return plain(string.sub(first, #name + 2)) end
  redis.call('ZREM', RETRY, name)
  return ''
end

-- Take one message off; says whether it was still to be delivered.
local function take(name, id)
  local acked = redis.call('XACK', STREAM, GROUP, id)
  local sent_again = redis.call('HDEL', BODIES, id)
  redis.call('ZREM', WAITING, name .. '\0' .. padded(id))
  redis.call('HDEL', TRIES, id)
  return acked + sent_again > 0
end

local function history(id, try)
  local before = redis.call('HGET', TRIES, id)
  return (before and string.sub(before, 1, -2) .. ',' or '[') .. '{"at_ms":' .. whole(NOW) .. ',"error":' .. try .. '}]'
end
