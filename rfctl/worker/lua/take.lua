-- Takes the next message that may be handled now: what a worker left first, then what is new.
-- ARGV  5 for so many ms without a sign of life, others have left a message ('': they may have been unable to give one)
--       6 where the look at messages in hand goes on ('-': at the beginning, '': no look)
--       7 where the look at what another program has read goes on ('-': at the beginning)
--       8 what the worker takes for the server's time (Unix ms) | ''   9… batch keys of which it has a message in hand
-- Returns the message or '', where each look goes on ('-': it is through), the id behind which the next new entry
-- will be ('$': too much is in hand, and nothing is read now), the notes, and the server's time (Unix ms).
local LOOKED_AT, MOST_READ, MOST_IN_HAND = 20, 50, 10000
local LEFT_MS, EXPECTED, in_hand = tonumber(ARGV[5]) or math.huge, tonumber(ARGV[8]), {}
for i = 9, #ARGV do in_hand[ARGV[i]] = true end
-- A clock that jumped ahead makes every sign of life old. The living give the next one soon.
if EXPECTED and NOW - EXPECTED > LEFT_MS / 2 then LEFT_MS = math.huge end

-- What another program has read in this group, or an older worker, stands in no order yet.
local function take_in(from)
  if redis.call('XPENDING', STREAM, GROUP)[1] <= redis.call('ZCARD', ORDER) then return '-' end
  local page = redis.call('XPENDING', STREAM, GROUP, from, '+', LOOKED_AT)
  for _, row in ipairs(page) do
    local entry = redis.call('XRANGE', STREAM, row[1], row[1])[1]
    redis.call('ZADD', ORDER, 0, member_of(entry and batch_key_of(entry[2]) or '', row[1]))
  end
  return #page == LOOKED_AT and '(' .. page[#page][1] or '-'
end

-- Person by person: only the first message of each can have been left by somebody.
local function look(from)
  for _ = 1, LOOKED_AT do
    local member = redis.call('ZRANGEBYLEX', ORDER, from, '+', 'LIMIT', 0, 1)[1]
    if not member then return nil, '-' end
    local batch_key = string.match(member, '^(.*)%z')
    from = '[' .. batch_key .. '\1'
    local message = not in_hand[batch_key] and open_next(batch_key, LEFT_MS, true)
    if message then return message, from end
  end
  return nil, from
end

local function read_new()
  for _ = 1, MOST_READ do
    if redis.call('ZCARD', ORDER) >= MOST_IN_HAND then return nil end
    local got = redis.call('XREADGROUP', 'GROUP', GROUP, CONSUMER, 'COUNT', 1, 'STREAMS', STREAM, '>')
    local entry = got and got[1][2][1]
    if not entry then return nil end
    local batch_key = batch_key_of(entry[2])
    local member = member_of(batch_key, entry[1])
    redis.call('ZADD', ORDER, 0, member)
    if first_of(batch_key) == member then
      local message = open_next(batch_key, 0, false)
      if message then return message end
    end
  end
end

local function last_delivered()
  if redis.call('ZCARD', ORDER) >= MOST_IN_HAND then return '$' end
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', STREAM)) do
    local group = {}
    for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
    if group['name'] == GROUP then return group['last-delivered-id'] end
  end
end

local message, cursor, unordered = nil, '', ARGV[7]
if ARGV[6] ~= '' then
  unordered = take_in(ARGV[7])
  message, cursor = look(ARGV[6])
end
if not message then message = read_new() end
return { message or '', cursor, unordered, last_delivered(), notes, NOW }
