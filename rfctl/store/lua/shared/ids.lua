-- The ids seen lately. Needs shared/clock.
-- Ids of one dedupe window lie in segments, one after another in time. A segment is many small sets of 64-bit numbers,
-- its parts, so none is long to grow or to free. Which part an id lies in is its `place`; the number is its `mark`.
-- An id is forgotten when the segment after its own has begun longer ago than the window. Nothing here expires.
-- The hash `ids` (KEYS[6]) has a field for each window (s): the segments, newest first, as `number:began:parts:freed`.
-- A segment without parts only says when the one before it ended. The field `older` is the time (Unix ms) until which
-- the sets of layout 1 are asked too.
-- Gives: FULL (ids), older_until (Unix ms), has_dead; asked, two a segment that is asked: how the keys of its parts
--        begin, and how many they are; newest[window], the segment that takes ids: index, prefix,
--        parts, count (ids of this call), is_old, is_new; flat, what the hash has. shared/id_changes changes it.
-- What each message needs is written out in `add`: to define a function costs each call as much as a short command.
local FULL = 256
local IDS, flat = KEYS[6], redis.call('HGETALL', KEYS[6])
local asked, newest, older_until, has_dead = {}, {}, 0, false

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
