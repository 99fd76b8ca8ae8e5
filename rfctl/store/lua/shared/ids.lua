-- The ids seen lately. Needs shared/clock.
-- Ids of one dedupe window lie in segments, one after another in time. A segment is many small sets of 64-bit numbers,
-- its parts, so none is long to grow or to free. Which part an id lies in is its `place`; the number is its `mark`.
-- An id is forgotten when the segment after its own has begun longer ago than the window. Nothing here expires.
-- The hash `ids` (KEYS[6]) has a field for each window (s): the segments, newest first, as `number:began:parts:freed`.
-- A segment without parts only says when the one before it ended. The field `older` is the time (Unix ms) until which
-- the sets of layout 1 are asked too.
-- Gives: FULL (ids), older_until (Unix ms), has_dead; asked, two a segment that is asked: how the keys of its parts
--        begin, and how many they are; newest[window], the segment that takes ids: index, prefix,
--        parts, count (ids of this call), is_old, is_new; change_ids(change, …): returns what Redis refused, or nil.
-- What each message needs is written out in `add`: to define a function costs each call as much as a short command.
local FULL = 256
local IDS, flat = KEYS[6], redis.call('HGETALL', KEYS[6])
local asked, newest, older_until, has_dead, changes = {}, {}, 0, false, nil

-- An id stays known when its window was changed: the segments of every window are asked.
for i = 1, #flat, 2 do
  local window, window_ms, ended = flat[i], 0, NOW
  if window == 'older' then older_until = flat[i + 1] + 0 else window_ms = window * 1000 end
  for number, began, parts in string.gmatch(flat[i + 1], '(%d+):(%d+):(%d+):%d+') do
    local is_dead, prefix = ended + window_ms < NOW, IDS .. ':' .. window .. ':' .. number .. ':'
    began, parts = began + 0, parts + 0
    if began > NOW then began = NOW end  -- the clock jumped back
    local is_asked, last = parts > 0 and not is_dead, #asked
    if is_asked then asked[last + 1], asked[last + 2] = prefix, parts end
    if not newest[window] then
      newest[window] = { index = is_asked and last + 1, prefix = prefix, parts = parts, count = 0,
        is_old = began + window_ms / 2 < NOW }
    end
    ended = began
  end
  has_dead = has_dead or (window_ms > 0 and ended + window_ms < NOW)
end

-- What is seldom needed is defined when it is: all segments of a window, and how a segment begins and ends.
local function define_changes()
  local AIM, GROWTH, FREED_A_CALL, MOST_PARTS = 100, 4, 8, 4194304
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

  local function must(reply)
    if type(reply) == 'table' and reply.err then error(reply.err, 0) end
    return reply
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
    if not segment or segment.parts == 0 then return 1 end
    if is_full then return math.min(MOST_PARTS, segment.parts * GROWTH) end
    local sampled, ids = math.min(segment.parts, 4), 0
    for place = 0, sampled - 1 do
      ids = ids + must(redis.pcall('SCARD', part_key(segment, place)))
    end
    return math.max(1, math.ceil(segment.parts * ids / (sampled * AIM)))
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

  return { begin_next = begin_next, free_ids = free_ids }
end

local function change_ids(change, ...)
  changes = changes or define_changes()
  local ok, problem = pcall(changes[change], ...)
  return not ok and redis.error_reply(problem) or nil
end
