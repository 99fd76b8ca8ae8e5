-- include: shared/clock, shared/rights, shared/item
-- Takes in a list that nobody hands over: it gets the name of its batch, expires no more, and is due now. What has no
-- text that could be sent goes to the quarantine first. After a failure at any write, all is still there: run it again.
-- KEYS  1 index of due times (zset)   2 phones of hashed batch keys (zset)   3 quarantine (stream)   4 the list
--       5 the list of its batch, which may be the same   6 totals (hash)
-- ARGV  1 batch key   2 phone
-- Returns what came of it, how many messages are due now, and how many items went to the quarantine.
--         1 taken in | 0 it is gone | -1 its batch is in the index already | -2 its batch has a list of its own
local DUE, PHONES, QUARANTINE, FROM, TO, TOTALS = unpack(KEYS, 1, 6)
local BATCH_KEY, PHONE = ARGV[1], ARGV[2]

-- What rfctl wrote, what another program wrote with a text, and plain text are handed over. JSON without a text is not.
local function can_be_sent(item)
  if scan_item(item) then return true end
  local ok, value = pcall(cjson.decode, item)
  if ok and type(value) == 'table' then return type(value.message) == 'string' end
  return not find(item, '^%s*[{%[]')
end

-- Returns the items that cannot be sent, and how many others were never counted: those of another program.
local function sort_out(items)
  local odd, uncounted = {}, 0
  for _, item in ipairs(items) do
    if not can_be_sent(item) then
      table.insert(odd, item)
    elseif not scan_item(item) then
      uncounted = uncounted + 1
    end
  end
  return odd, uncounted
end

local function set_apart(item)
  local why = 'an item of the list ' .. FROM .. ' that has no text to send'
  redis.call('XADD', QUARANTINE, '*', 'source', 'adopt', 'type', 'list', 'why', why, 'body', item)
  must(redis.pcall('LREM', FROM, 1, item))
end

if ASKS_RIGHTS then
  for _, right in ipairs({ { 'PERSIST', FROM }, { 'LREM', FROM }, { 'XADD', QUARANTINE }, { 'RENAMENX', FROM, TO },
    { 'ZADD', PHONES, 0, '' }, { 'ZADD', DUE, 0, '' } }) do
    if not redis.acl_check_cmd(unpack(right)) then return refuse(right[1], right[2]) end
  end
end
local items = redis.call('LRANGE', FROM, 0, -1)
if #items == 0 then return { 0, 0, 0 } end
if redis.call('ZSCORE', DUE, BATCH_KEY) then
  if FROM ~= TO then return { -2, 0, 0 } end
  if redis.call('PERSIST', FROM) == 1 then return { 1, #items, 0 } end
  return { -1, #items, 0 }
end
if FROM ~= TO and redis.call('EXISTS', TO) == 1 then return { -2, 0, 0 } end

local odd, uncounted = sort_out(items)
redis.call('PERSIST', FROM)
for _, item in ipairs(odd) do set_apart(item) end
local left = #items - #odd
if left > 0 then
  if FROM ~= TO then redis.call('RENAMENX', FROM, TO) end
  if string.byte(BATCH_KEY) == 38 then redis.call('ZADD', PHONES, 0, PHONE .. '\0' .. BATCH_KEY) end
  redis.call('ZADD', DUE, whole(NOW), BATCH_KEY)
  if uncounted > 0 then redis.pcall('HINCRBY', TOTALS, 'messages_in', uncounted) end
end
return { 1, left, #odd }
