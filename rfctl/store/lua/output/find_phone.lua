-- flags=no-writes: it only reads
-- Finds the messages of a phone in a stream of merged messages, or of dead letters. It takes about 2 ms, and is called
-- again for the rest: meanwhile Redis serves others.
-- KEYS  1 stream
-- ARGV  1 phone   2 the first id, or ( and the id before it   3 how many entries to look at, at most
-- Returns how many were looked at, the id of the last ('' at the end of the stream), then the ids of the matches.
local started, size = os.clock(), 1
local from, most = ARGV[2], tonumber(ARGV[3])
local answer = { 0, '' }

local function phone_of(fields)
  for i = 1, #fields - 1, 2 do
    if fields[i] == 'phone' then return fields[i + 1] end
  end
end

while answer[1] < most and os.clock() - started < 0.002 do
  local page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', math.min(size, most - answer[1]))
  if #page == 0 then answer[2] = ''; break end
  for _, entry in ipairs(page) do
    if phone_of(entry[2]) == ARGV[1] then table.insert(answer, entry[1]) end
  end
  answer[1], answer[2], size = answer[1] + #page, page[#page][1], math.min(2 * size, 64)
  from = '(' .. answer[2]
end
return answer
