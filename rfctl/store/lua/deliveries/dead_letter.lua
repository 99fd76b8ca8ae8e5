-- The last try has failed: the message goes to the dead ones, with its history; those behind it go on.
-- KEYS  7 dead (stream)
-- ARGV  3 name   4 id   5 what went wrong, as a JSON string   6… the fields of the message
-- Returns the id of the next one that waits for this phone, or ''.
-- Not allowed to run out of memory: then nothing is taken off, and it is tried again.
redis.call('XLEN', KEYS[7])
local tries = history(ARGV[4], ARGV[5])
if take(ARGV[3], ARGV[4]) then
  redis.call('XADD', KEYS[7], '*', 'sink', SINK, 'id', ARGV[4], 'tries', tries, unpack(ARGV, 6))
  count('failures')
  count('dead')
end
return next_of(ARGV[3])
