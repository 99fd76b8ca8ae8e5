-- flags=allow-oom: an index entry is small, and without it a message is never handed over
-- include: shared/clock, shared/item
-- Makes the index agree with the lists of some batches: a list that rfctl wrote gets into the index again, and an entry
-- without a list leaves it.
-- KEYS  1 index of due times (zset)   2 phones of hashed batch keys (zset)   3… the batches (lists)
-- ARGV  1… two a batch: batch key, phone ('' for unknown)
-- Returns two a batch: 1 put into the index | 0 nothing to do | -1 taken out of the index | -2 the list is not rfctl's;
--         and its time to live, ms (-1: none).

-- rfctl wrote a list if it wrote the first and the last of its items.
local function read_ours(key)
  local has_first, first = pcall(read_item, redis.call('LINDEX', key, 0))
  local has_last, last = pcall(read_item, redis.call('LINDEX', key, -1))
  if has_first and has_last and first.stop and last.stop then return first, last end
end

local function put_back(key, batch_key, phone)
  local first, last = read_ours(key)
  if not first then return -2 end
  if string.byte(batch_key) == 38 then
    redis.call('ZADD', KEYS[2], 0, (head_of(first).phone or phone) .. '\0' .. batch_key)
  end
  if redis.call('ZSCORE', KEYS[1], batch_key) then return 0 end
  redis.call('ZADD', KEYS[1], whole(NOW + last.wait), batch_key)
  if redis.call('PTTL', key) >= 0 then redis.call('PERSIST', key) end
  return 1
end

local function take_out(batch_key, phone)
  local removed = redis.call('ZREM', KEYS[1], batch_key)
  if phone ~= '' then redis.call('ZREM', KEYS[2], phone .. '\0' .. batch_key) end
  return removed == 1 and -1 or 0
end

local function mend(key, batch_key, phone)
  local size = redis.pcall('LLEN', key)
  if type(size) == 'table' then  -- somebody's value, or a right that is missing
    return redis.call('TYPE', key).ok == 'list' and redis.call('LLEN', key) or -2
  end
  if size == 0 then return take_out(batch_key, phone) end
  return put_back(key, batch_key, phone)
end

local answer = {}
for i = 3, #KEYS do
  local place = (i - 3) * 2 + 1
  local lives_ms = redis.call('PTTL', KEYS[i])
  table.insert(answer, mend(KEYS[i], ARGV[place], ARGV[place + 1]))
  table.insert(answer, math.max(-1, lives_ms))
end
return answer
