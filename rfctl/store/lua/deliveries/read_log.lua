-- flags=no-writes: it only reads
-- Reads the delivery log, the newest first, and returns what matches. It ends early, and is called again for the rest.
-- KEYS  1 delivery log (stream)
-- ARGV  1 where it begins ('+', or '(' and an id)   2 where it ends (an id, or '-')   3 how many entries to look at
--       4 phone, '' for all   5 sink, '' for all   6 most matches
-- Returns the id of the last entry that was looked at ('' at the end), how many were, then the matches in the form of
--         XRANGE.
local PAGE, start, looked, matches = 100, ARGV[1], 0, {}
local most, most_matches, last = tonumber(ARGV[3]), tonumber(ARGV[6]), ''

local function has_all(flat)
  local phone, sink = ARGV[4] == '', ARGV[5] == ''
  for i = 1, #flat - 1, 2 do
    phone = phone or (flat[i] == 'phone' and flat[i + 1] == ARGV[4])
    sink = sink or (flat[i] == 'sink' and flat[i + 1] == ARGV[5])
  end
  return phone and sink
end

local function read_page()
  local page = redis.call('XREVRANGE', KEYS[1], start, ARGV[2], 'COUNT', math.min(PAGE, most - looked))
  for _, entry in ipairs(page) do
    if #matches == most_matches then return true end
    if has_all(entry[2]) then table.insert(matches, entry) end
    looked, last = looked + 1, entry[1]
  end
  start = '(' .. last
  return #page > 0
end

local is_more = true
while looked < most and #matches < most_matches and is_more do is_more = read_page() end
return { is_more and last or '', looked, unpack(matches) }
