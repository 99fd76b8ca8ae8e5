-- Removes this consumer from the group, and others that have ended without a word. With a message in hand it stays:
-- Redis would lose the message with it.
-- ARGV  5 consumers that have not asked for so many ms are gone
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', STREAM, GROUP)) do
  local consumer = {}
  for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
  local is_gone = consumer['name'] == CONSUMER or consumer['idle'] > tonumber(ARGV[5])
  if is_gone and consumer['pending'] == 0 then redis.call('XGROUP', 'DELCONSUMER', STREAM, GROUP, consumer['name']) end
end
return 1
