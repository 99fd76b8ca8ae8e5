-- The receiver is back, or an operator says so: what waits for a later try is due now. Up to 1000 phones a call.
-- ARGV  3 all | '' when waits that are to be kept stay   4 how many of those were passed by in the calls before
-- Returns how many are due now, and how many were passed by; 0 and 0 at the end.
local late = redis.call('ZRANGEBYSCORE', RETRY, '(' .. whole(NOW), '+inf', 'WITHSCORES', 'LIMIT', ARGV[4], 1000)
local pulled = 0
for i = 1, #late, 2 do
  if ARGV[3] == 'all' or not is_kept(late[i + 1]) then
    redis.call('ZADD', RETRY, whole(NOW), late[i])
    pulled = pulled + 1
  end
end
return { pulled, #late / 2 - pulled }
