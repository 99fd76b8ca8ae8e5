-- Who is held: a person takes over, and the bot gets nothing of this batch until a time. Needs shared/clock and
-- shared/rights.
-- KEYS  6 until when batches are held (zset: batch key → Unix ms, steady); with `:notes` behind it a hash: batch key
--       → why, as JSON
-- Gives: HELD, has_held(), held_until(batch_key), hold(batch_key, until_ms, note), end_hold(batch_key).
-- An entry whose time is over stays until its batch has left whole: such a batch may have messages of several owners,
-- and leaves in parts. A held batch is due when its hold ends, so the index of due times wakes whoever hands over.
local HELD, NOTES = KEYS[6], KEYS[6] .. ':notes'

local is_any_held
local function has_held()
  if is_any_held == nil then is_any_held = must(redis.pcall('ZCARD', HELD)) > 0 end
  return is_any_held
end

-- Until when a batch is held (Unix ms), also when that is over; or nil.
local function held_until(batch_key)
  local until_ms = has_held() and redis.call('ZSCORE', HELD, batch_key)
  return until_ms and until_ms + 0 or nil
end

-- The hold first: an index that disagrees with it is put right by the next hand-over.
local function hold(batch_key, until_ms, note)
  must(redis.pcall('ZADD', HELD, whole(until_ms), batch_key))
  must(redis.pcall('HSET', NOTES, batch_key, note))
  must(redis.pcall('ZADD', KEYS[1], 'XX', whole(until_ms), batch_key))
  is_any_held = true
end

local function end_hold(batch_key)
  must(redis.pcall('ZREM', HELD, batch_key))
  redis.pcall('HDEL', NOTES, batch_key)
end
