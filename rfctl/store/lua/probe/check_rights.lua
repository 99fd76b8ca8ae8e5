-- flags=no-writes: it only asks
-- Asks which rights the user that runs it lacks. Nothing is run: Redis 7 and later answer for a command, unrun.
-- KEYS  none: a key that is declared must be allowed
-- ARGV  1 an object as JSON: commands and channels (arrays of commands, each with its name and arguments; '\1' stands
--       for a key), keys (array of keys)
-- Returns three arrays, counted from 1: the commands, the keys and the channels that are denied. Commands are asked
-- about with a key that is allowed; where no key is, those that need one are not asked about.
local ask = redis.acl_check_cmd
if not ask then return redis.error_reply('NOCHECK this server cannot tell rights') end

local function is_allowed(command)
  local answered, allowed = pcall(ask, unpack(command))
  return not answered or allowed  -- a command that the server does not know is not used there
end

local wanted = cjson.decode(ARGV[1])
local denied, allowed_key = { {}, {}, {} }, nil
for place, key in ipairs(wanted.keys) do
  if is_allowed({ 'EVALSHA', '', '1', key }) then
    allowed_key = allowed_key or key
  else
    table.insert(denied[2], place)
  end
end
for place, command in ipairs(wanted.commands) do
  local needs_key = false
  for i, word in ipairs(command) do
    if word == '\1' then needs_key, command[i] = true, allowed_key end
  end
  if (allowed_key or not needs_key) and not is_allowed(command) then table.insert(denied[1], place) end
end
for place, command in ipairs(wanted.channels) do
  if not is_allowed(command) then table.insert(denied[3], place) end
end
return denied
