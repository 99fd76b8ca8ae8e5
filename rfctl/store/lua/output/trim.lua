-- flags=allow-oom: it frees memory
-- include: shared/clock
-- Removes from the output stream what every consumer group has acknowledged and is old, or is more than is kept.
-- KEYS  1 output stream
-- ARGV  1 keep, ms   2 keep, entries
-- Returns how many entries were removed, and 1 when more could be.
-- Without a group rfctl knows nothing of the readers, and nothing is removed.
local MOST = 1000

local function parts(id)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function before(a, b)
  local a_ms, a_seq = parts(a)
  local b_ms, b_seq = parts(b)
  return a_ms < b_ms or (a_ms == b_ms and a_seq < b_seq)
end

local function behind(id)
  local ms, seq = parts(id)
  return whole(ms) .. '-' .. whole(seq + 1)
end

-- The first entry that some group still needs: unread, or read and not acknowledged.
local function first_needed()
  local needed
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = {}
    for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
    local its = behind(group['last-delivered-id'])
    if group['pending'] > 0 then its = redis.call('XPENDING', KEYS[1], group['name'])[2] end
    if not needed or before(its, needed) then needed = its end
  end
  return needed
end

-- The first entry that is kept for its age; and, if there are too many, the first that is kept for its place.
local function first_kept()
  local kept = whole(math.max(0, NOW - tonumber(ARGV[1]))) .. '-0'
  local excess = redis.call('XLEN', KEYS[1]) - tonumber(ARGV[2])
  if excess <= 0 then return kept, 0 end
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', math.min(excess, MOST))
  local placed = behind(oldest[#oldest][1])
  return before(kept, placed) and placed or kept, excess > MOST and 1 or 0
end

if redis.call('EXISTS', KEYS[1]) == 0 then return { 0, 0 } end
local needed = first_needed()
if not needed then return { 0, 0 } end
local kept, more = first_kept()
local removed = redis.call('XTRIM', KEYS[1], 'MINID', before(needed, kept) and needed or kept)
return { removed, removed > 0 and more or 0 }
