-- flags=allow-oom: a few bytes, without which what was read could not be delivered, and no memory freed
-- Puts messages of held phones behind what waits for them.
-- ARGV  3… name and id of each message, in the order of the stream
-- Returns one a message: 1 it waits now | 0 the phone is free: deliver it.
local answers = {}
for i = 3, #ARGV, 2 do
  local held = redis.call('ZSCORE', RETRY, ARGV[i])
  if held then wait(ARGV[i], ARGV[i + 1]) end
  table.insert(answers, held and 1 or 0)
end
return answers
