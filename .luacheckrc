-- A verb is checked alone, here: what its includes give is named below. The tests check each verb once more, with its
-- includes put before it, as Redis runs it.
std = "lua51"
max_line_length = 120
read_globals = { "KEYS", "ARGV", "redis", "cjson" }

local clock = { "CLOCK", "STEP", "SEEN", "NOW", "WALL", "whole" }
local rights = { "ASKS_RIGHTS", "refuse", "allow", "is_taken", "must", "take_fault" }
local item = { "find", "match", "sub", "scan_item", "read_item", "head_of", "company_of" }
local ids = { "FULL", "IDS", "plans", "newest" }
local merging = { "define_merging" }
local batch = {
  "DUE", "ASIDE", "BATCH", "LAST", "OVERDUE_MS", "FOLLOWED", "bytes_read", "traced_batches", "count", "write_counts",
  "publish", "list_measures", "clear", "set_aside", "hand_over", "has_max_size",
}
local holding = { "HELD", "NOTES", "has_held", "held_until", "hold", "end_hold" }
local taking_over = { "announce", "let_go", "take_over" }
local delivery = {
  "SINK", "RETRY", "ATTEMPTS", "BODIES", "FIXED", "is_fixed", "count", "note", "wait_in_line", "first_of",
  "next_of", "is_left", "take", "history",
}

local worker = {
  "STREAM", "ORDER", "REMEMBERED", "GROUP", "CONSUMER", "MOST", "NOW", "notes", "member_of", "id_of", "batch_key_of",
  "state_of", "first_of", "forget", "note_failure", "bury", "open_next",
}

local function join(...)
  local names = {}
  for _, list in ipairs({ ... }) do
    for _, name in ipairs(list) do table.insert(names, name) end
  end
  return names
end

-- What an include gives is used by the verbs, not by itself.
local function exported(names)
  local ignored = {}
  for _, name in ipairs(names) do
    for _, code in ipairs({ "211", "231", "241" }) do table.insert(ignored, code .. "/" .. name) end
  end
  return ignored
end

files["rfctl/store/lua/shared/clock.lua"] = { globals = { "KEYS", "ARGV" }, ignore = exported(clock) }
files["rfctl/store/lua/shared/timeless.lua"] = { ignore = exported({ "NOW" }) }
files["rfctl/store/lua/shared/item.lua"] = { read_globals = clock, ignore = exported(item) }
files["rfctl/store/lua/shared/rights.lua"] = { ignore = exported(rights) }
files["rfctl/store/lua/shared/ids.lua"] = { read_globals = clock, ignore = exported(ids) }
files["rfctl/store/lua/shared/merging.lua"] = { read_globals = join(clock, item), ignore = exported(merging) }
files["rfctl/store/lua/shared/holding.lua"] = { read_globals = join(clock, rights), ignore = exported(holding) }
files["rfctl/store/lua/shared/batch.lua"] = {
  read_globals = join(clock, rights, item, merging, holding), ignore = exported(batch),
}
files["rfctl/store/lua/shared/taking_over.lua"] = {
  read_globals = join(clock, rights, holding, batch), ignore = exported(taking_over),
}
files["rfctl/store/lua/shared/id_changes.lua"] = {
  globals = { "newest" }, read_globals = join(clock, rights, { "IDS", "plans" }),
  ignore = exported({ "plan_ids", "change_ids" }),
}
files["rfctl/store/lua/shared/leaving.lua"] = { read_globals = join(rights, item, batch, taking_over, { "plan_ids", "change_ids" }) }
files["rfctl/store/lua/shared/delivery.lua"] = { read_globals = clock, ignore = exported(delivery) }
files["rfctl/store/lua/batches"] = {
  read_globals = join(clock, rights, item, ids, batch, holding, taking_over, { "define_on_demand" }),
}
files["rfctl/store/lua/batches/add.lua"] = { globals = { "plans", "newest" } }
files["rfctl/store/lua/shared/delivery_log.lua"] = { read_globals = delivery, ignore = exported({ "log" }) }
files["rfctl/store/lua/deliveries"] = { read_globals = join(clock, delivery, { "log" }) }
files["rfctl/store/lua/clock"] = {}
files["rfctl/store/lua/layout"] = {}
files["rfctl/store/lua/output"] = { read_globals = clock }
files["rfctl/worker/lua/shared"] = { ignore = exported(worker) }
files["rfctl/worker/lua"] = { read_globals = worker }
