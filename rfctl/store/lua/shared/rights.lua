-- Whether the user may make the writes of a verb, asked before the first of them: Redis keeps what a script wrote
-- before it was refused.
-- Gives: ASKS_RIGHTS, refuse(command, key), allow(command, key), is_taken(reply), must(reply), take_fault().

-- Redis 6.2 cannot be asked: there a verb tries each write on a key that nobody has.
local ASKS_RIGHTS = redis.acl_check_cmd ~= nil and redis.acl_check_cmd ~= false

-- Only this error says that somebody else's value is at the key. Any other means that nothing was done.
local function is_taken(reply) return string.find(reply.err, 'WRONGTYPE', 1, true) ~= nil end

-- An answer of redis.pcall; an error ends the work on this batch, and is told from a fault in these scripts.
local FAULT
local function must(reply)
  if type(reply) == 'table' and reply.err then
    FAULT = reply.err
    error(FAULT, 0)
  end
  return reply
end

local function refuse(command, key)
  return redis.error_reply('NOPERM the user of this connection may not run ' .. command .. ' on ' .. key)
end

local function allow(command, key)
  if not redis.acl_check_cmd(command, key) then must(refuse(command, key)) end
end

-- What Redis refused since this was asked last, or nil.
local function take_fault()
  local fault = FAULT
  FAULT = nil
  return fault
end
