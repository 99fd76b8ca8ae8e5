-- The clock of Redis, read here and nowhere else: every time in a script is this one.
-- Gives: NOW (Unix ms), whole(number).
local time = redis.call('TIME')
local NOW = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- A number without an exponent, as commands and JSON take a time.
local function whole(number) return string.format('%.0f', number) end
