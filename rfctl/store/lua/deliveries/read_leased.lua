-- flags=allow-oom: it frees memory that what was read is delivered
-- Reads for a sink, while this daemon has the lease: another daemon has begun with what is unacknowledged before,
-- and would not see what is read after that.
-- KEYS  1 output stream   2 lease
-- ARGV  1 consumer group   2 consumer   3 daemon id   4 most
--       5 > for what is new | an id: what was read before, behind it
-- Returns 1 or 0 (the lease is another's), the id of the last entry of the stream, then the entries.
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return { 0, '0-0' } end
local got = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[4], 'STREAMS', KEYS[1], ARGV[5])
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local answer = { 1, newest and newest[1] or '0-0' }
for _, entry in ipairs(got and got[1][2] or {}) do table.insert(answer, entry) end
return answer
