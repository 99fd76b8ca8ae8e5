-- How a segment of ids begins and ends, and which of them a message is to ask. Needs shared/clock, shared/rights and
-- shared/ids.
-- Gives: plan_ids(window, kind), which returns a plan and writes nothing, and change_ids(change, …), which returns
--        what Redis refused, or nil. A change is prepare(window, kind, is_full), before the first write of a message;
--        begin_next(window, is_full); or finish(), at the end of a call: it frees a little, and keeps plans.
-- Each segment is asked for each message: so the first ones are not tiny, and one behind a full one is much larger.
local AIM, GROWTH, FREED_A_CALL, LEAST_PARTS, MOST_PARTS, ALL_KINDS = 100, 32, 8, 256, 4194304, 4294967295
local windows, kept_plans  -- of each window its segments, the newest first; the fields of plans

local function parse_segments(window, text)
  local segments, ended = {}, NOW
  for number, began, parts, freed, kinds in string.gmatch(text, '(%d+):(%d+):(%d+):(%d+):?(%d*)') do
    local segment = { number = number, began = math.min(began, NOW), parts = tonumber(parts), freed = tonumber(freed),
      kinds = tonumber(kinds) or ALL_KINDS, prefix = IDS .. ':' .. window .. ':' .. number .. ':', count = 0,
      is_dead = ended + window * 1000 < NOW }
    table.insert(segments, segment)
    ended = segment.began
  end
  return segments
end

local function read_segments()
  if windows then return end
  windows, kept_plans = {}, {}
  local flat = redis.call('HGETALL', IDS)
  for i = 1, #flat, 2 do
    local field = flat[i]
    if string.find(field, ':', 1, true) then
      table.insert(kept_plans, field)
    elseif field ~= 'older' then
      windows[field] = parse_segments(field, flat[i + 1])
    end
  end
end

local function newest_of(window)
  read_segments()
  return windows[window] and windows[window][1]
end

local function has_kind(segment, kind) return segment.kinds / 2 ^ kind % 2 >= 1 end

-- An id stays known when its window was changed: the segments of every window are asked, first those of its own.
local function segments_to_ask(window, kind)
  local living = {}
  local function add(segments)
    for _, segment in ipairs(segments) do
      if segment.parts > 0 and not segment.is_dead and has_kind(segment, kind) then table.insert(living, segment) end
    end
  end
  add(windows[window] or {})
  for other, segments in pairs(windows) do
    if other ~= window then add(segments) end
  end
  return living
end

local function plan_ids(window, kind)
  newest[window] = newest_of(window)
  local plan = { window = window, kind = kind, is_slow = true }
  for i, segment in ipairs(segments_to_ask(window, kind)) do
    plan[2 * i - 1], plan[2 * i] = segment.prefix, segment.parts
    if segment == newest[window] then plan.takes = 1 end
  end
  return plan
end

local function part_key(segment, place) return segment.prefix .. whole(place) end

-- The plans first: one that outlived a change of its segments would let ids be forgotten.
local function write_segments(window)
  if #kept_plans > 0 then must(redis.pcall('HDEL', IDS, unpack(kept_plans))) end
  kept_plans = {}
  local texts = {}
  for i, segment in ipairs(windows[window]) do
    local numbers = { segment.number, whole(segment.began), segment.parts, segment.freed, whole(segment.kinds) }
    texts[i] = table.concat(numbers, ':')
  end
  must(redis.pcall('HSET', IDS, window, table.concat(texts, ';')))
end

local function begin_segment(window, parts, kinds)
  windows[window] = windows[window] or {}
  local before = windows[window][1]
  local number = before and before.number + 1 or 0
  local segment = { number = number, began = NOW, parts = parts, freed = 0, kinds = kinds, count = 0, is_new = true,
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

-- Behind a full segment the same kinds go on: messages of this call may be on their way into it.
local function begin_next(window, is_full)
  local before = newest_of(window)
  begin_segment(window, parts_after(before, is_full), is_full and before.kinds or 0)
end

-- A new segment begins when the one that takes ids is old, or full; and it learns of a kind before its first id.
local function prepare(window, kind, is_full)
  local segment = newest_of(window)
  if not segment or segment.parts == 0 or segment.began + window * 500 < NOW then
    begin_next(window, false)
  elseif is_full and not segment.is_new then
    begin_next(window, true)
  end
  segment = newest_of(window)
  newest[window] = segment
  if not has_kind(segment, kind) then
    segment.kinds = segment.kinds + 2 ^ kind
    write_segments(window)
  end
end

-- Where little was sent, most parts were never there: one call passes over all of them.
local function free_parts(segment)
  local deleted, passed = 0, 0
  while segment.freed < segment.parts and deleted < FREED_A_CALL and passed < LEAST_PARTS do
    deleted = deleted + must(redis.pcall('DEL', part_key(segment, segment.freed)))
    segment.freed, passed = segment.freed + 1, passed + 1
  end
  return segment.freed >= segment.parts
end

-- A window without traffic ends its segment too; else its ids would stay for ever.
local function free_some(window, segments)
  local first, last, window_ms = segments[1], segments[#segments], window * 1000
  if first.parts > 0 and first.began + window_ms < NOW then
    begin_segment(window, 0, 0)
  elseif last.is_dead then
    if free_parts(last) then table.remove(segments) end
    write_segments(window)
  elseif #segments == 1 and last.parts == 0 and last.began + window_ms < NOW then
    must(redis.pcall('HDEL', IDS, window))
    windows[window] = nil
  end
end

-- Until when no segment ends, and so nothing is to be freed.
local function next_end()
  local till = NOW + 86400000
  for window, segments in pairs(windows) do
    local ender = segments[#segments - 1] or segments[1]  -- the oldest segment ends by the one behind it
    if ender then till = math.min(till, ender.began + window * 1000) end
  end
  return till
end

local function keep_plan(plan, till)
  local first = newest_of(plan.window)
  if not first or first.parts == 0 or not has_kind(first, plan.kind) then return end
  till = math.min(till, first.began + plan.window * 500)
  if till < NOW then return end
  local text = whole(NOW) .. ' ' .. whole(till)
  for _, segment in ipairs(segments_to_ask(plan.window, plan.kind)) do
    text = text .. '@' .. string.sub(segment.prefix, #IDS + 2) .. segment.parts
  end
  must(redis.pcall('HSET', IDS, plan.window .. ':' .. string.char(64 + plan.kind), text))
end

local function finish()
  read_segments()
  local names = {}
  for window in pairs(windows) do table.insert(names, window) end
  for _, window in ipairs(names) do
    if #windows[window] > 0 then pcall(free_some, window, windows[window]) end
  end
  local till = next_end()
  for _, plan in pairs(plans) do
    if plan.is_slow then keep_plan(plan, till) end
  end
end

local changes = { prepare = prepare, begin_next = begin_next, finish = finish }
local function change_ids(change, ...)
  local ok, problem = pcall(changes[change], ...)
  return not ok and redis.error_reply(take_fault() or problem) or nil
end
