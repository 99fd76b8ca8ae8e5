-- flags=allow-oom: a few bytes, without which nothing is delivered and no memory freed
-- include: shared/clock
-- One daemon at a time delivers for a sink, so that the messages of one batch key leave in their order.
-- It ends by the steady clock, not by a TTL: a jump of the server's clock neither ends nor lengthens it.
-- KEYS  1 lease (daemon id, space, until when)   2 progress (hash: ended_ms, missing_ms); both steady Unix ms
-- ARGV  1 daemon id   2 for how long, ms; 0 gives it back
-- Returns 1 when it is ours, 0 when another has it. A value of another form is nobody's lease.
local JITTER_MS = 1000 -- so much the steady clock may jump unseen
local ms = tonumber(ARGV[2])
local holder, till = string.match(redis.call('GET', KEYS[1]) or '', '^(.+) (%d+)$')
if holder and holder ~= ARGV[1] and tonumber(till) > NOW then
  -- No lease is longer than ours: this one is from another time.
  if ms > 0 and tonumber(till) > NOW + ms + JITTER_MS then
    redis.call('SET', KEYS[1], holder .. ' ' .. whole(NOW + ms))
  end
  return 0
end
if ms == 0 then redis.call('DEL', KEYS[1]); return 1 end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. whole(NOW + ms))
if holder ~= ARGV[1] or tonumber(till) <= NOW then redis.pcall('HSET', KEYS[2], 'ended_ms', whole(NOW)) end
return 1
