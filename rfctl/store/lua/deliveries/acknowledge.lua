-- flags=allow-oom: it frees memory
-- include: shared/clock, shared/delivery, shared/delivery_log
-- Messages were delivered, or are missing: they are acknowledged and forgotten.
-- KEYS  1 output stream   2 waiting (zset, no scores: batch key NUL id)   3 retry (zset, batch key → when, Unix ms)
--       4 attempts (hash, id → JSON array)   5 bodies (hash, id → JSON array of fields)   6 totals (hash)
--       7 progress (hash: ended_ms, missing_ms, steady Unix ms)
--       8 delivery log (stream)
-- ARGV  1 consumer group   2 sink   3 1: the log is written | ''
--       4 delivered | missing   5… of each message: batch key, id, phone ('': the batch key is it), attempts, and how
--         long the last one took (ms, or ''); no two of one batch key
-- Returns for each message the id of the next one that waits for its batch key, or ''.
local followers, taken = {}, 0
for i = 5, #ARGV, 5 do
  if take(ARGV[i], ARGV[i + 1]) then
    taken = taken + 1
    log(ARGV[4], ARGV[i + 1], ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
  end
  followers[#followers + 1] = next_of(ARGV[i])
end
if taken > 0 then
  count(ARGV[4], taken)
  note(ARGV[4] == 'missing' and 'missing_ms' or 'ended_ms')
end
return followers
