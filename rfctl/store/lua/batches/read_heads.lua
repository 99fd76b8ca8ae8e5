-- flags=no-writes: it only looks
-- include: shared/timeless, shared/item
-- Reads whose some batches are, without their messages.
-- KEYS  1… the batches (lists)
-- ARGV  1 most bytes: it stops behind the item that reaches them, and the caller goes on from there
--       2 how many bytes of the first text to return, 0: none of it
-- Returns four a batch: size, when its first message was received (Unix ms, 0: unknown), phone or '', chat or ''.
-- With texts it is seven: channel and account or '', and how the text begins, as the inside of a JSON string. The end
-- of that may be half a character or half an escape.
local answer, bytes, TEXT_BYTES = {}, 0, tonumber(ARGV[2])

-- Of a text in another program's item as much is encoded as can be in so many bytes.
local function begin_of(item, part)
  if part.stop then return string.sub(item, 13, math.min(part.stop - 1, 12 + TEXT_BYTES)) end
  return string.sub(cjson.encode(string.sub(part.text or '', 1, TEXT_BYTES)), 2, -2)
end

for _, key in ipairs(KEYS) do
  if bytes >= tonumber(ARGV[1]) then break end
  local size = redis.pcall('LLEN', key)
  local item = type(size) == 'number' and size > 0 and redis.call('LINDEX', key, 0)
  local ok, first = pcall(read_item, item or '')
  local has_head, head = pcall(head_of, ok and first or {})
  if not has_head then head = {} end
  if item then bytes = bytes + #item end
  table.insert(answer, item and size or 0)
  table.insert(answer, item and ok and first.stop and first.at or 0)
  table.insert(answer, tostring(head.phone or ''))
  table.insert(answer, tostring(head.chat or ''))
  if TEXT_BYTES > 0 then
    table.insert(answer, tostring(head.channel or ''))
    table.insert(answer, tostring(head.account or ''))
    table.insert(answer, ok and begin_of(item, first) or '')
  end
end
return answer
