-- flags=no-writes: it only looks
-- Reads a page of a stream for an operator. XRANGE counts entries; here a page ends by bytes too: an entry may be long.
-- KEYS  1 the stream
-- ARGV  1 where it begins   2 where it ends (as XRANGE has them, and for 'newest' as XREVRANGE)   3 oldest|newest first
--       4 most entries   5 bytes: the entry that reaches them is the last   6 how many items of each entry, 0: all
--       7 a field whose value is replaced by its length, '' for none
-- Returns the entries in the form of XRANGE.
local LIMIT, MOST_BYTES, ITEMS, MEASURED = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local start, bytes, page = ARGV[1], 0, {}

local function shorten(flat)
  local short = {}
  for i = 1, ITEMS > 0 and math.min(ITEMS, #flat) or #flat do
    local is_measured = MEASURED ~= '' and i % 2 == 0 and flat[i - 1] == MEASURED
    short[i] = is_measured and tostring(#flat[i]) or flat[i]
  end
  return short
end

local function read_entry()
  if ARGV[3] == 'newest' then return redis.call('XREVRANGE', KEYS[1], start, ARGV[2], 'COUNT', 1)[1] end
  return redis.call('XRANGE', KEYS[1], start, ARGV[2], 'COUNT', 1)[1]
end

while #page < LIMIT and bytes < MOST_BYTES do
  local entry = read_entry()
  if not entry then break end
  for _, item in ipairs(entry[2]) do bytes = bytes + #item end
  table.insert(page, { entry[1], shorten(entry[2]) })
  start = '(' .. entry[1]
end
return page
