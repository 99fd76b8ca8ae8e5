-- The receiver is back: what waits for a later try is due now. Up to 1000 phones a call.
-- Returns how many.
local late = redis.call('ZRANGEBYSCORE', RETRY, '(' .. whole(NOW), '+inf', 'LIMIT', 0, 1000)
for _, name in ipairs(late) do redis.call('ZADD', RETRY, whole(NOW), name) end
return #late
