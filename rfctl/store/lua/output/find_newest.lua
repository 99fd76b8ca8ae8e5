-- flags=no-writes: it only reads
-- Finds the messages of a phone in a stream of merged messages, the newest first. It ends early by bytes, and is called
-- again for the rest: meanwhile Redis serves others.
-- KEYS  1 stream
-- ARGV  1 phone   2 where it begins: '+', or ( and an id   3 how many entries to look at, at most
-- Returns how many were looked at, the id of the last ('' at the end of the stream), then the ids of the matches.
local PAGE, MOST_ENTRIES, MOST_BYTES = 16, 512, 524288
local start, most, bytes = ARGV[2], math.min(tonumber(ARGV[3]), MOST_ENTRIES), 0
local answer = { 0, '' }

local function is_theirs(fields)
  local is_match = false
  for i = 1, #fields - 1, 2 do
    bytes = bytes + #fields[i + 1]
    if fields[i] == 'phone' then is_match = fields[i + 1] == ARGV[1] end
  end
  return is_match
end

while answer[1] < most and bytes < MOST_BYTES do
  local page = redis.call('XREVRANGE', KEYS[1], start, '-', 'COUNT', math.min(PAGE, most - answer[1]))
  if #page == 0 then answer[2] = ''; break end
  for _, entry in ipairs(page) do
    if is_theirs(entry[2]) then table.insert(answer, entry[1]) end
  end
  answer[1], answer[2] = answer[1] + #page, page[#page][1]
  start = '(' .. answer[2]
end
return answer
