-- The steady clock, read here and nowhere else: every time in a script is this one. It goes on where the server's clock
-- jumps: `step` is how far the server's clock is ahead of it.
-- The last of KEYS is the clock (hash: step, and seen, the latest time that was written down, Unix ms). The last two of
-- ARGV are the earliest and the latest time that the caller expects, or ''. All three are taken off here.
-- Any other time ends the script before it has written: the server's clock has jumped, or the call was long on its way.
-- Gives: CLOCK, STEP (ms), SEEN (ms or nil), NOW (Unix ms, steady), WALL (Unix ms, the server's), whole(number).
local CLOCK = table.remove(KEYS)
local latest = tonumber(table.remove(ARGV))
local earliest = tonumber(table.remove(ARGV))
local time, marks = redis.call('TIME'), redis.call('HMGET', CLOCK, 'step', 'seen')
local STEP, SEEN = tonumber(marks[1] or 0), tonumber(marks[2] or nil)
local WALL = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local NOW = WALL - STEP

-- A number without an exponent, as commands and JSON take a time.
-- A time is longer than an integer of a 32-bit server, and in two parts it is written faster.
local function whole(number)
  if number < 1000000 then return string.format('%.0f', number) end
  return string.format('%d%06d', number / 1000000, number % 1000000)
end

if (earliest and NOW < earliest) or (latest and NOW > latest) or (SEEN and NOW < SEEN - 1000) then
  return redis.error_reply('CLOCKSTEP the steady clock shows ' .. whole(NOW) .. ', which is not expected')
end
