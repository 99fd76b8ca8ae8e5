-- For wrk: a POST with a new id each time, or the requests of a file.
-- Arguments  form | first part of the ids or the file | phones | messages a request | mean ms between two requests of a
--            connection | a line of the header, or nothing
-- Forms  generic: one message    bulk: messages:[…]    steady: a phone sends all of its messages, then the next one
--        file: requests that are ready, each behind a line with its length
-- At its end it says what happened, as one line of JSON. More requests than the file has are an error.
local form, prefix, phones, each, delay_ms, header
local number, ready, place = 0, {}, 0

function init(args)
  form, prefix, phones = args[1], args[2], tonumber(args[3])
  each, delay_ms = tonumber(args[4]), tonumber(args[5])
  header = 'POST ' .. wrk.path .. ' HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' ..
    (args[6] and args[6] .. '\r\n' or '') .. 'Content-Length: '
  if delay_ms > 0 then
    -- Equal pauses would fall into step: who is answered together would ask together, again and again.
    math.randomseed(1)
    delay = function() return math.floor(0.5 - delay_ms * math.log(1 - math.random())) end
  end
  if form == 'file' then
    local file = assert(io.open(prefix, 'rb'))
    for length in file:lines() do ready[#ready + 1] = file:read(tonumber(length)) end
    file:close()
  end
end

local function message()
  number = number + 1
  local phone = form == 'steady' and math.floor(number / phones) or number % phones
  return string.format('{"from":"7900%07d","message":"запишите меня","messageId":"%s-%d","companyId":962302}',
    phone, prefix, number)
end

local function body()
  if form ~= 'bulk' then return message() end
  local messages = {}
  for i = 1, each do messages[i] = message() end
  return '{"messages":[' .. table.concat(messages, ',') .. ']}'
end

function request()
  if form == 'file' then
    place = place + 1
    return ready[place] or ready[#ready]
  end
  local content = body()
  return header .. #content .. '\r\n\r\n' .. content
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\n{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,"status":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
