-- flags=no-writes: it only reads
-- Reads a message that waits, unless it is larger than the caller has room for.
-- KEYS  1 output stream   2 attempts (hash, id → JSON array)   3 bodies (hash, id → JSON array of fields)
-- ARGV  1 id   2 room, bytes
-- Returns 1 or 0 (it is larger), its attempts, what an operator sends again, and its fields in the stream; nil for
-- none.
local body, bytes = redis.call('HGET', KEYS[3], ARGV[1]), 0
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
local fields = entry and entry[2] or {}
for _, field in ipairs(body and { body } or fields) do bytes = bytes + #field end
if bytes > tonumber(ARGV[2]) then return { 0, false, false, false } end
return { 1, redis.call('HGET', KEYS[2], ARGV[1]), body, not body and entry and fields or false }
