-- flags=allow-oom: a few bytes, without which timers are wrong
-- Writes down how far the server's clock is ahead of the steady clock, unless somebody did so meanwhile.
-- KEYS  1 the clock (hash: step, seen)
-- ARGV  1 the step that the caller has read, ms   2 the new step, ms
-- Returns the step that is now in force, ms.
local step = redis.call('HGET', KEYS[1], 'step') or '0'
if step == ARGV[1] then
  redis.call('HSET', KEYS[1], 'step', ARGV[2])
  step = ARGV[2]
end
return step
