-- flags=allow-oom: it frees memory that what was read is delivered
-- include: shared/clock
-- Reads for a sink, while this daemon has the lease: another daemon has begun with what is unacknowledged before,
-- and would not see what is read after that. Nothing is read for a paused sink, so that nothing of it starts.
-- KEYS  1 output stream   2 lease (daemon id, space, until when, steady Unix ms)   3 paused (hash, sink → why)
-- ARGV  1 consumer group   2 consumer   3 daemon id   4 most
--       5 > for what is new | an id: what was read before, behind it   6 so many bytes are enough   7 sink
-- Returns 1, 0 (the lease is another's) or 2 (the sink is paused), then the id behind which the next new entry will
-- be, then the entries.
local holder, till = string.match(redis.call('GET', KEYS[2]) or '', '^(.+) (%d+)$')
if holder ~= ARGV[3] or tonumber(till) <= NOW then return { 0, '0-0' } end
if redis.call('HEXISTS', KEYS[3], ARGV[7]) == 1 then return { 2, '0-0' } end

local function size_of(entry)
  local bytes = 0
  for _, field in ipairs(entry[2] or {}) do bytes = bytes + #field end
  return bytes
end

-- Entry by entry: Redis cannot be asked for so many bytes, and one entry may be as large as a thousand others.
local answer, bytes, from = { 1, '0-0' }, 0, ARGV[5]
for _ = 1, tonumber(ARGV[4]) do
  local got = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], from)
  local entry = got and got[1][2][1]
  if not entry then break end
  table.insert(answer, entry)
  bytes = bytes + size_of(entry)
  if bytes >= tonumber(ARGV[6]) then break end
  if from ~= '>' then from = entry[1] end
end
if #answer > 2 or from ~= '>' then return answer end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
  if group['name'] == ARGV[1] then answer[2] = group['last-delivered-id'] end
end
return answer
