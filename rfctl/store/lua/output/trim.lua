-- flags=allow-oom: it frees memory
-- include: shared/clock
-- Removes from the output stream what every consumer group has acknowledged and is old, or is more than is kept.
-- It removes a limited number, and is called again for the rest: meanwhile Redis serves others.
-- KEYS  1 output stream
-- ARGV  1 keep, ms   2 keep, entries   3 remove about so many, at most   4… groups without which nothing is removed
-- Returns how many entries were removed, and 1 when more could be.
-- Without a group rfctl knows nothing of the readers, and nothing is removed.
local MOST, PIECE = tonumber(ARGV[3]), 100 -- Redis keeps up to 100 entries in one piece of memory
local removed, read_bytes, MOST_BYTES = 0, 0, 32768
local function is_enough() return removed >= MOST or read_bytes >= MOST_BYTES end

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
  return string.format('%.0f-%.0f', ms, seq + 1)  -- as floats: a number of an entry may have 64 bits
end

local function read_groups()
  local groups = {}
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = {}
    for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
    groups[group['name']] = group
  end
  return groups
end

-- The first entry that some group still needs: unread, or read and not acknowledged.
local function first_needed(groups)
  local needed
  for name, group in pairs(groups) do
    local its = behind(group['last-delivered-id'])
    if group['pending'] > 0 then its = redis.call('XPENDING', KEYS[1], name)[2] end
    if not needed or before(its, needed) then needed = its end
  end
  return needed
end

-- Whole pieces first, a few at a time; what is left before the id is within one piece.
local function remove_before(id)
  while not is_enough() do
    local count = redis.call('XTRIM', KEYS[1], 'MINID', '~', id, 'LIMIT', PIECE)
    removed = removed + count
    if count == 0 then
      removed = removed + redis.call('XTRIM', KEYS[1], 'MINID', id)
      return true
    end
  end
  return false
end

local function count_bytes(entries)
  for _, entry in ipairs(entries) do
    for _, field in ipairs(entry[2]) do read_bytes = read_bytes + #field end
  end
end

-- The oldest entries beyond the number that is kept: their ids are read with them, few at a time if they are large.
local function remove_excess(needed)
  local size = 1
  while not is_enough() do
    local excess = redis.call('XLEN', KEYS[1]) - tonumber(ARGV[2])
    local oldest = excess > 0 and redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', math.min(excess, size)) or {}
    if #oldest == 0 or not before(oldest[1][1], needed) then return true end
    count_bytes(oldest)
    local last = behind(oldest[#oldest][1])
    removed = removed + redis.call('XTRIM', KEYS[1], 'MINID', before(needed, last) and needed or last)
    size = math.min(2 * size, PIECE)
  end
  return false
end

if redis.call('EXISTS', KEYS[1]) == 0 then return { 0, 0 } end
local groups = read_groups()
for i = 4, #ARGV do
  if not groups[ARGV[i]] then return { 0, 0 } end
end
local needed = first_needed(groups)
if not needed then return { 0, 0 } end
local kept = whole(math.max(0, math.min(NOW, WALL) - tonumber(ARGV[1]))) .. '-0'
local is_done = remove_before(before(needed, kept) and needed or kept) and remove_excess(needed)
return { removed, is_done and 0 or 1 }
