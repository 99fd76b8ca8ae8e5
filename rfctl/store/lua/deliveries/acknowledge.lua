-- flags=allow-oom: it frees memory
-- A message was delivered: it is acknowledged and forgotten.
-- ARGV  3 name   4 id
-- Returns the id of the next one that waits for this phone, or ''.
if take(ARGV[3], ARGV[4]) then count('delivered') end
return next_of(ARGV[3])
