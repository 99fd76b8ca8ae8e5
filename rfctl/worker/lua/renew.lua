-- Gives a sign of life for messages in hand: nobody takes them over.
-- ARGV  5… their ids
-- Returns those that another worker has taken over, or that are done.
local lost = {}
for i = 5, #ARGV do
  if state_of(ARGV[i]) == CONSUMER then
    redis.call('XCLAIM', STREAM, GROUP, CONSUMER, 0, ARGV[i], 'JUSTID')
  else
    table.insert(lost, ARGV[i])
  end
end
return lost
