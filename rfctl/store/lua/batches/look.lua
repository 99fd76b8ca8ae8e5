-- flags=no-writes: it only looks
-- include: shared/timeless, shared/item
-- Reads what some lists are, without their messages, and whether the index has them: all at one moment.
-- KEYS  1 index of due times (zset)   2… the lists
-- ARGV  1… of each list its batch key
-- Returns six a list: its length (-1: no list, or it may not be read), its time to live (ms, -1: none), due (Unix ms,
--         -1: not in the index), who wrote it (rfctl | other: its items have a text | unknown), when its first message
--         came (Unix ms, 0: unknown), and its phone or ''.
local function is_number(value) return type(value) == 'number' and value == value and value > 0 and value < 1e15 end

-- A message as other writers have it: a JSON object with a text, and with what every one of them adds. What a sink has
-- filled has `from` too.
local function read_others(item)
  local ok, value = pcall(cjson.decode, item)
  if not ok or type(value) ~= 'table' or type(value.message) ~= 'string' then return 'unknown', 0 end
  local is_stored = value.timestamp ~= nil or value.companyId ~= nil or value.metadata ~= nil
  if value.from ~= nil or not is_stored then return 'unknown', 0 end
  return 'other', is_number(value.timestamp) and math.floor(value.timestamp) or 0
end

local function read_first(item)
  local ok, part = pcall(read_item, item)
  if not ok or not part.stop then
    local writer, at = read_others(item)
    return writer, at, ''
  end
  local has_head, head = pcall(head_of, part)
  return 'rfctl', part.at, has_head and tostring(head.phone or '') or ''
end

local answer = {}
for i = 2, #KEYS do
  local size, due = redis.pcall('LLEN', KEYS[i]), redis.pcall('ZSCORE', KEYS[1], ARGV[i - 1])
  local item = type(size) == 'number' and redis.pcall('LINDEX', KEYS[i], 0)
  local writer, at, phone, lives_ms = 'unknown', 0, '', -1
  if type(item) == 'string' then
    writer, at, phone = read_first(item)
    lives_ms = redis.call('PTTL', KEYS[i])
  else
    size = -1
  end
  for _, value in ipairs({ size, lives_ms, tonumber(type(due) == 'string' and due) or -1, writer, at, phone }) do
    table.insert(answer, value)
  end
end
return answer
