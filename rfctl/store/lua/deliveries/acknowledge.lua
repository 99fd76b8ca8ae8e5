-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/delivery
-- Messages were delivered, or are missing: they are acknowledged and forgotten.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
-- ARGV  1 consumer group   2 sink
--       3 delivered | missing   4… batch key and id of each message; no two of one batch key
-- Returns for each message the id of the next one that waits for its batch key, or ''.
local followers, taken = {}, 0
for i = 4, #ARGV, 2 do
  if take(ARGV[i], ARGV[i + 1]) then taken = taken + 1 end
  followers[#followers + 1] = next_of(ARGV[i])
end
if taken > 0 then
  count(ARGV[3], taken)
  note(ARGV[3] == 'missing' and 'missing_ms' or 'ended_ms')
end
return followers
