-- flags=allow-oom: without its group a reader gets nothing, and what it has not read is never trimmed
-- Makes consumer groups that are missing; each begins with the oldest entry that is there. Others stay as they are.
-- KEYS  1 output stream
-- ARGV  1… groups
-- Returns how many were made.
local present, made = {}, 0
local groups = redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[1]) or {}
for _, flat in ipairs(groups) do
  for i = 1, #flat, 2 do
    if flat[i] == 'name' then present[flat[i + 1]] = true end
  end
end
for _, name in ipairs(ARGV) do
  if not present[name] then
    redis.call('XGROUP', 'CREATE', KEYS[1], name, '0', 'MKSTREAM')
    made = made + 1
  end
end
return made
