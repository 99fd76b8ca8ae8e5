-- Ends an attempt, and takes the person's next message.
-- ARGV  5 batch key   6 id   7 delivery id, by which it is remembered   8 remember, ms
--       9 what went wrong, as a JSON string; '': nothing   10 1: there will be no other attempt | ''
--       11 1: the next message is taken | '': it is left to others   12 retry after, ms   13 attempt
-- Returns 1, or 0 when another worker has taken the message over; the next message or ''; and the notes.
local batch_key, id, delivery_id, error = ARGV[5], ARGV[6], ARGV[7], ARGV[9]
local FORGOTTEN_A_CALL = 10

local function remember()
  local past = string.format('%.0f', tonumber(NOW) - tonumber(ARGV[8]))
  local old = redis.call('ZRANGEBYSCORE', REMEMBERED, '-inf', past, 'LIMIT', 0, FORGOTTEN_A_CALL)
  if #old > 0 then redis.call('ZREM', REMEMBERED, unpack(old)) end
  redis.call('ZADD', REMEMBERED, NOW, delivery_id)
end

-- Whoever leaves does not keep the next message from others until it is given up.
local function leave_next()
  local member = first_of(batch_key)
  if member and state_of(id_of(member)) then
    -- Nobody has begun with it: whoever takes it over has the first attempt.
    redis.call('XCLAIM', STREAM, GROUP, CONSUMER, 0, id_of(member), 'IDLE', ARGV[12], 'RETRYCOUNT', 0, 'JUSTID')
  end
end

local owner, _, deliveries = state_of(id) -- where there is no such group any more, nothing is written either
if error == '' then remember() end
if owner ~= CONSUMER or deliveries ~= tonumber(ARGV[13]) then return { 0, '', notes } end
local member = member_of(batch_key, id)
if error == '' then
  forget(member, id)
else
  local history = note_failure(id, error, deliveries)
  local entry = redis.call('XRANGE', STREAM, id, id)[1]
  if entry and (ARGV[10] == '1' or deliveries >= MOST) then
    bury(member, id, entry[2], history)
  else
    redis.call('XCLAIM', STREAM, GROUP, CONSUMER, 0, id, 'JUSTID') -- it comes again so long after the failure
    return { 1, '', notes }
  end
end
if ARGV[11] == '1' then return { 1, open_next(batch_key, 0, false) or '', notes } end
leave_next()
return { 1, '', notes }
