-- How one stored message is read. Needs shared/clock, or shared/timeless.
-- Gives: scan_item(item), read_item(item), read_other(item), head_of(part), company_of(part).
-- A part is one message. All have json, and sent, at and wait (ms). An item that we wrote has also belongs (whose it is
-- besides its company, as JSON), company (as JSON), id, stop (where its text ends), and is_sent, whether `sent` is when
-- it was sent, not when it came. Any other has its text.
local find, match, sub = string.find, string.match, string.sub
local TAIL, USUAL_TAIL = 200, 76  -- the last three fields have fewer characters
local NULL_END = 108  -- the last letter of null; metadata ends with a brace

-- cjson also takes NaN, Infinity and hexadecimal numbers, which no reader behind us does.
local function is_json(item)
  local rest = string.gsub(item, '\\.', '')
  rest = string.gsub(rest, '"[^"]*"', '')
  for _, word in ipairs({ 'true', 'false', 'null' }) do rest = string.gsub(rest, word, '') end
  return not string.find(rest, '[A-DF-Za-df-z]')
end

-- An item that we wrote is read by plain searches; `","` cannot occur inside a JSON string. A pattern is only tried on
-- what is short: on a long text it takes Redis a hundred times as long as a plain search. It is tried at the one place
-- where the last three fields usually begin, and else at each place of the end.
-- Returns where the text ends, the last three fields as digits, and whether the first of them is when the message was
-- sent: behind `"sentAt":null` it is when it came. Nothing for an item that somebody else wrote.
local function scan_item(item)
  local stop = find(item, '","companyId":', 1, true)
  if not stop or sub(item, 1, 12) ~= '{"message":"' then return nil end
  local last, sent, at, wait = find(item, ',"timestamp":', -USUAL_TAIL, true), nil, nil, nil
  if last then sent, at, wait = match(item, '^(%d+),"receivedAt":(%d+),"waitMs":(%d+)}$', last + 13) end
  if not at then
    local first = math.max(1, #item - TAIL)
    last, sent, at, wait = match(item, '(),"timestamp":(%d+),"receivedAt":(%d+),"waitMs":(%d+)}$', first)
  end
  if at then return stop, sent, at, wait, string.byte(item, last - 1) ~= NULL_END end
end

-- An item that somebody else wrote is kept, and handed over as text.
local function read_other(item)
  local ok, value = pcall(cjson.decode, item)
  if ok and not is_json(item) then ok = false end
  local has_text = ok and type(value) == 'table' and type(value.message) == 'string'
  return { json = ok and item or cjson.encode(item), text = has_text and value.message or item,
    sent = NOW, at = NOW, wait = 0 }
end

local function read_item(item)
  local stop, sent, at, wait, is_sent = scan_item(item)
  if not stop then return read_other(item) end
  local company, belongs = match(item, '^,"companyId":(.-)(,"channel":.-),"messageId":', stop + 1)
  return { json = item, belongs = belongs, company = company, id = match(item, ',"messageId":"(.-)","', stop),
    sent = tonumber(sent), at = tonumber(at), wait = tonumber(wait), stop = stop, is_sent = is_sent }
end

-- What we put between the text and the metadata: channel, messageId, phone … (the company as a double).
local function head_of(part)
  if not part.stop then return {} end
  local till = find(part.json, ',"metadata":', part.stop, true)
  return cjson.decode('{"_":0' .. sub(part.json, part.stop + 1, till - 1) .. '}')
end

-- The company as the output stream has it: text, '' for none. Two are the same when their text is.
local function company_of(part)
  if not part.company or part.company == 'null' then return '' end
  local is_text = sub(part.company, 1, 1) == '"'
  return tostring(is_text and cjson.decode('[' .. part.company .. ']')[1] or part.company)
end
