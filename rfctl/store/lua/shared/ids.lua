-- The ids seen lately. Needs shared/clock and shared/rights.
-- Ids of one dedupe window lie in segments, one after another in time. A segment is many small sets of 64-bit numbers,
-- its parts, so none is long to grow or to free. Which part an id lies in is its `place`; the number is its `mark`.
-- An id is forgotten when the segment after its own has begun longer ago than the window. Nothing here expires.
-- The hash `ids` has a field for each window (s): the segments, newest first, as `number:began:parts:freed`. A segment
-- without parts only says when the one before it ended. The field `older` is the time (Unix ms) until which the sets
-- of layout 1 are asked too.
-- Gives: open_ids(key), is_seen(window, mark, place, older_key, older_prefix), make_place(window, place),
--        remember(window, mark, place), free_ids().
local FULL, AIM, GROWTH, FREED_A_CALL, MOST_PARTS = 256, 100, 4, 8, 4194304
local windows, ids_key, older_until, has_dead, seldom = {}, nil, 0, false, nil

local function part_key(segment, place)
  return string.format('%s%d', segment.prefix, place % segment.parts)
end

-- What is remembered now. An id stays known when its window was changed: every window is asked.
local function open_ids(key)
  ids_key = key
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local window, segments, ended = flat[i], {}, NOW
    local window_ms = (tonumber(window) or 0) * 1000
    for number, began, parts, freed in string.gmatch(flat[i + 1], '(%d+):(%d+):(%d+):(%d+)') do
      local segment = { number = number, began = math.min(tonumber(began), NOW), parts = tonumber(parts), freed = freed,
        count = 0, prefix = key .. ':' .. window .. ':' .. number .. ':', is_dead = ended + window_ms < NOW }
      table.insert(segments, segment)
      ended = segment.began
    end
    if window == 'older' then older_until = tonumber(flat[i + 1]) else windows[window] = segments end
    has_dead = has_dead or (window_ms > 0 and ended + window_ms < NOW)
  end
end

-- What is seldom needed is defined when it is.
local function define_seldom()
  local function write_segments(window)
    local texts = {}
    for i, segment in ipairs(windows[window]) do
      texts[i] = segment.number .. ':' .. whole(segment.began) .. ':' .. segment.parts .. ':' .. segment.freed
    end
    must(redis.pcall('HSET', ids_key, window, table.concat(texts, ';')))
  end

  local function begin_segment(window, parts)
    windows[window] = windows[window] or {}
    local newest = windows[window][1]
    local number = newest and newest.number + 1 or 0
    table.insert(windows[window], 1, { number = number, began = NOW, parts = parts, freed = 0, count = 0,
      prefix = ids_key .. ':' .. window .. ':' .. number .. ':' })
    write_segments(window)
  end

  -- As many parts as the traffic of the segment before needs.
  local function parts_after(segment, is_full)
    if is_full then return math.min(MOST_PARTS, segment.parts * GROWTH) end
    local sampled, ids = math.min(segment.parts, 4), 0
    for place = 0, sampled - 1 do ids = ids + must(redis.pcall('SCARD', part_key(segment, place))) end
    return math.max(1, math.ceil(segment.parts * ids / (sampled * AIM)))
  end

  local function free_parts(segment)
    local keys, freed = {}, tonumber(segment.freed)
    while freed < segment.parts and #keys < FREED_A_CALL do
      table.insert(keys, part_key(segment, freed))
      freed = freed + 1
    end
    if #keys > 0 then must(redis.pcall('DEL', unpack(keys))) end
    segment.freed = freed
    return freed >= segment.parts
  end

  -- A window without traffic ends its segment too; else its ids would stay for ever.
  local function free_some(window, segments)
    local newest, last, window_ms = segments[1], segments[#segments], tonumber(window) * 1000
    if newest.parts > 0 and newest.began + window_ms < NOW then
      begin_segment(window, 0)
    elseif last.is_dead then
      if free_parts(last) then table.remove(segments) end
      write_segments(window)
    elseif last.parts == 0 and last.began + window_ms < NOW then
      must(redis.pcall('HDEL', ids_key, window))
    end
  end

  return { begin_segment = begin_segment, parts_after = parts_after, free_some = free_some }
end

-- Layout 1 had a set a time bucket, by the server's clock.
local function is_seen(window, mark, place, older_key, older_prefix)
  for _, segments in pairs(windows) do
    for _, segment in ipairs(segments) do
      if not segment.is_dead and segment.parts > 0
        and redis.call('SISMEMBER', part_key(segment, place), mark) == 1 then return true end
    end
  end
  if older_key == '' or NOW >= older_until then return false end
  local bucket = math.floor(WALL / (tonumber(window) * 1000))
  return redis.call('SISMEMBER', older_prefix .. window .. ':' .. whole(bucket), older_key) == 1
    or redis.call('SISMEMBER', older_prefix .. window .. ':' .. whole(bucket - 1), older_key) == 1
end

-- Before the first write of a message: a new segment begins when the one that takes ids is old, or full.
local function make_place(window, place)
  local segment = (windows[window] or {})[1]
  if not segment or segment.parts == 0 then
    seldom = seldom or define_seldom()
    seldom.begin_segment(window, 1)
  elseif segment.began + tonumber(window) * 500 < NOW then
    seldom = seldom or define_seldom()
    seldom.begin_segment(window, seldom.parts_after(segment, false))
  elseif place % 8 == 0 and redis.call('SCARD', part_key(segment, place)) >= FULL then
    seldom = seldom or define_seldom()
    seldom.begin_segment(window, seldom.parts_after(segment, true))
  end
end

local function remember(window, mark, place)
  local segment = windows[window][1]
  if segment.count >= segment.parts * FULL / 2 then
    seldom = seldom or define_seldom()
    seldom.begin_segment(window, seldom.parts_after(segment, true))
    segment = windows[window][1]
  end
  must(redis.pcall('SADD', part_key(segment, place), mark))
  segment.count = segment.count + 1
end

-- Frees a few parts of what is dead.
local function free_ids()
  if not has_dead then return end
  seldom = seldom or define_seldom()
  for window, segments in pairs(windows) do
    if #segments > 0 then pcall(seldom.free_some, window, segments) end
  end
end
