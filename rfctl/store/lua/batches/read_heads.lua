-- flags=no-writes: it only looks
-- include: shared/timeless, shared/item
-- Reads whose some batches are, without their messages.
-- KEYS  1… the batches (lists)
-- ARGV  1 most bytes: it stops behind the item that reaches them, and the caller goes on from there
-- Returns four a batch: size, when its first message was received (Unix ms, 0: unknown), phone or '', chat or ''.
local answer, bytes = {}, 0
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
end
return answer
