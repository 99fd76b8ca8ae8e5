-- How one stored message is read. Needs shared/clock, or shared/timeless.
-- Gives: read_item(item), head_of(part), company_of(part).
-- A part is one message: json and text (both JSON), sent, at and wait (ms), and for an item that we wrote also
-- belongs (whose it is besides its company, as JSON), company (as JSON), id, and stop (where its text ends).
local TAIL = 200  -- the last three fields have fewer characters

-- cjson also takes NaN, Infinity and hexadecimal numbers, which no reader behind us does.
local function is_json(item)
  local rest = string.gsub(item, '\\.', '')
  rest = string.gsub(rest, '"[^"]*"', '')
  for _, word in ipairs({ 'true', 'false', 'null' }) do rest = string.gsub(rest, word, '') end
  return not string.find(rest, '[A-DF-Za-df-z]')
end

-- An item that we wrote is read by plain searches; `","` cannot occur inside a JSON string. A pattern is only tried on
-- what is short: on a long text it takes Redis a hundred times as long as a plain search.
-- One that somebody else wrote is kept, and handed over as text.
local function read_item(item)
  local stop = string.find(item, '","companyId":', 1, true)
  local sent, at, wait = string.match(string.sub(item, -TAIL),
    ',"timestamp":(%d+),"receivedAt":(%d+),"waitMs":(%d+)}$')
  if stop and at and string.sub(item, 1, 12) == '{"message":"' then
    local company, belongs = string.match(item, '^,"companyId":(.-)(,"channel":.-),"messageId":', stop + 1)
    return { json = item, text = string.sub(item, 12, stop), belongs = belongs, company = company,
      id = string.match(item, ',"messageId":"(.-)","', stop),
      sent = tonumber(sent), at = tonumber(at), wait = tonumber(wait), stop = stop }
  end
  local ok, value = pcall(cjson.decode, item)
  if ok and not is_json(item) then ok = false end
  local has_text = ok and type(value) == 'table' and type(value.message) == 'string'
  local text = has_text and value.message or item
  return { json = ok and item or cjson.encode(item), text = cjson.encode(text), sent = NOW, at = NOW, wait = 0 }
end

-- What we put between the text and the metadata: channel, messageId, phone … (the company as a double).
local function head_of(part)
  if not part.stop then return {} end
  local till = string.find(part.json, ',"metadata":', part.stop, true)
  return cjson.decode('{"_":0' .. string.sub(part.json, part.stop + 1, till - 1) .. '}')
end

-- The company as the output stream has it: text, '' for none. Two are the same when their text is.
local function company_of(part)
  if not part.company or part.company == 'null' then return '' end
  local is_text = string.sub(part.company, 1, 1) == '"'
  return tostring(is_text and cjson.decode('[' .. part.company .. ']')[1] or part.company)
end
