-- The delivery log: what ended each message's way to a sink. Needs shared/delivery.
-- KEYS  8 delivery log (stream)
-- ARGV  3 1: it is written | ''
-- Gives: log(outcome, id, batch_key, phone, attempts, took_ms).
-- It is for people who look: no error of it fails a delivery. The phone is '' where the batch key is it.
-- Redis keeps the names of fields once, as long as they are the same in the same order.
local LOG = ARGV[3] == '1' and KEYS[8]

local function log(outcome, id, batch_key, phone, attempts, took_ms)
  if not LOG then return end
  redis.pcall('XADD', LOG, '*', 'phone', phone == '' and batch_key or phone, 'sink', SINK, 'id', id,
    'outcome', outcome, 'attempts', attempts, 'took_ms', took_ms)
end
