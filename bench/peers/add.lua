-- What a careful user would write: one atomic script a request that does what rfctl's `add` does for it.
-- KEYS  1 mark of the id   2 list of the batch   3 time of its last message   4 index of due times   5 output stream
-- ARGV  1 dedupe window, s   2 the message as JSON   3 its text   4 phone   5 quiet, ms   6 most messages of a batch
-- Returns whether it is added (0|1), and the size of its batch.
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then
  return { 0, redis.call('LLEN', KEYS[2]) }
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local size = redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('SET', KEYS[3], string.format('%.0f', now), 'PX', 86400000)
if size < tonumber(ARGV[6]) then
  redis.call('ZADD', KEYS[4], string.format('%.0f', now + ARGV[5]), ARGV[4])
  return { 1, size }
end
local items, texts = redis.call('LRANGE', KEYS[2], 0, -1), {}
for i, item in ipairs(items) do texts[i] = cjson.decode(item).message end
redis.call('XADD', KEYS[5], '*', 'phone', ARGV[4], 'text', table.concat(texts, ' '), 'count', #items, 'reason', 'size',
  'messages', '[' .. table.concat(items, ',') .. ']')
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[4], ARGV[4])
return { 1, size }
