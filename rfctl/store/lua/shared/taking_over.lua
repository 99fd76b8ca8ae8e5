-- What `add` does for a batch that is held, or about which our own side has spoken. Needs shared/holding, shared/batch.
-- Gives: take_over(batch_key, action, wait, has_batch, phone), which returns until when the batch is held (Unix ms; a
--        time that is over for one that is on its way), or nil; and whether its list is gone now.
-- action  hold       a rule: the message joins, and the batch is held for `wait` ms
--         own_hold   somebody on our side wrote: the same, without a message
--         own_close  … the pending batch is handed over, and its reason says so
--         own_discard  … the pending batch is thrown away
--         own_release  … the hold ends
--         own_ignore   … nothing
-- A word of ours never shortens a hold. A batch that is held is left alone by own_close and own_discard.
local function announce(what, phone, until_ms)
  if FOLLOWED then publish(function()
    return '{"event":"' .. what .. '","phone":' .. cjson.encode(phone) .. ',"until_ms":' .. whole(until_ms + STEP) ..
      ',"at_ms":' .. whole(WALL) .. '}'
  end) end
end

local function lengthen_hold(batch_key, until_ms, by, phone)
  local before = held_until(batch_key)
  if before and before >= until_ms then return end
  hold(batch_key, until_ms, '{"by":"' .. by .. '","since_ms":' .. whole(NOW) .. ',"phone":' .. cjson.encode(phone) ..
    '}')
  count('held', 1)
  announce('held', phone, until_ms)
end

-- The hold is over now, and what is pending is due.
local function let_go(batch_key, phone)
  local until_ms = held_until(batch_key)
  if not until_ms or until_ms <= NOW then return false end
  must(redis.pcall('ZADD', HELD, whole(NOW), batch_key))
  must(redis.pcall('ZADD', DUE, 'XX', whole(NOW), batch_key))
  count('released', 1)
  announce('released', phone, NOW)
  return true
end

local function take_over(batch_key, action, wait, has_batch, phone)
  if action == 'hold' or action == 'own_hold' then
    lengthen_hold(batch_key, NOW + wait, action == 'hold' and 'rule' or 'own', phone)
  elseif action == 'own_release' then
    let_go(batch_key, phone)
  elseif has_batch and not held_until(batch_key) then
    if action == 'own_close' then hand_over(batch_key, 'closed', NOW) has_batch = false end
    if action == 'own_discard' then clear(batch_key) has_batch = false end
  end
  local until_ms = held_until(batch_key)
  if until_ms and until_ms <= NOW and not has_batch then
    end_hold(batch_key)
    until_ms = nil
  end
  return until_ms, not has_batch
end
