-- How a segment of ids begins and ends. Needs shared/clock, shared/rights and shared/ids.
-- Gives: change_ids(change, …), which returns what Redis refused, or nil. A change is begin_next(window, is_full), or
--        free_ids(). Here are all segments of a window, the newest first.
-- Each segment is asked for each message: so the first ones are not tiny, and a new store has few of them.
local AIM, GROWTH, FREED_A_CALL, LEAST_PARTS, MOST_PARTS = 100, 4, 8, 64, 4194304
local windows = {}
for i = 1, #flat, 2 do
  local window, segments, ended = flat[i], {}, NOW
  local window_ms = (tonumber(window) or 0) * 1000
  for number, began, parts, freed in string.gmatch(flat[i + 1], '(%d+):(%d+):(%d+):(%d+)') do
    local segment = { number = number, began = math.min(began, NOW), parts = tonumber(parts), freed = tonumber(freed),
      prefix = IDS .. ':' .. window .. ':' .. number .. ':', is_dead = ended + window_ms < NOW }
    table.insert(segments, segment)
    ended = segment.began
  end
  if window ~= 'older' then windows[window] = segments end
end

local function part_key(segment, place) return segment.prefix .. whole(place) end

local function write_segments(window)
  local texts = {}
  for i, segment in ipairs(windows[window]) do
    texts[i] = segment.number .. ':' .. whole(segment.began) .. ':' .. segment.parts .. ':' .. segment.freed
  end
  must(redis.pcall('HSET', IDS, window, table.concat(texts, ';')))
end

local function begin_segment(window, parts)
  windows[window] = windows[window] or {}
  local before = windows[window][1]
  local number = before and before.number + 1 or 0
  local segment = { number = number, began = NOW, parts = parts, freed = 0, count = 0, is_new = true,
    prefix = IDS .. ':' .. window .. ':' .. number .. ':' }
  table.insert(windows[window], 1, segment)
  write_segments(window)
  newest[window] = segment
end

-- As many parts as the traffic of the segment before needs.
local function parts_after(segment, is_full)
  if not segment or segment.parts == 0 then return LEAST_PARTS end
  if is_full then return math.min(MOST_PARTS, segment.parts * GROWTH) end
  local sampled, ids = math.min(segment.parts, 4), 0
  for place = 0, sampled - 1 do
    ids = ids + must(redis.pcall('SCARD', part_key(segment, place)))
  end
  return math.max(LEAST_PARTS, math.ceil(segment.parts * ids / (sampled * AIM)))
end

local function begin_next(window, is_full)
  begin_segment(window, parts_after(windows[window] and windows[window][1], is_full))
end

local function free_parts(segment)
  local keys = {}
  while segment.freed < segment.parts and #keys < FREED_A_CALL do
    table.insert(keys, part_key(segment, segment.freed))
    segment.freed = segment.freed + 1
  end
  if #keys > 0 then must(redis.pcall('DEL', unpack(keys))) end
  return segment.freed >= segment.parts
end

-- A window without traffic ends its segment too; else its ids would stay for ever.
local function free_some(window, segments)
  local first, last, window_ms = segments[1], segments[#segments], tonumber(window) * 1000
  if first.parts > 0 and first.began + window_ms < NOW then
    begin_segment(window, 0)
  elseif last.is_dead then
    if free_parts(last) then table.remove(segments) end
    write_segments(window)
  elseif last.parts == 0 and last.began + window_ms < NOW then
    must(redis.pcall('HDEL', IDS, window))
  end
end

-- Frees a few parts of what is dead.
local function free_ids()
  for window, segments in pairs(windows) do
    if #segments > 0 then pcall(free_some, window, segments) end
  end
end

local changes = { begin_next = begin_next, free_ids = free_ids }
local function change_ids(change, ...)
  local ok, problem = pcall(changes[change], ...)
  return not ok and redis.error_reply(take_fault() or problem) or nil
end
