-- How the messages of a batch become one. Needs shared/clock and shared/item.
-- Gives: define_merging(order, separator, gaps), which returns merge(batch_key, items, place).
-- merge returns a table, and how many bytes the items have. The table: number (of messages), text (nil where the batch
-- says nothing), messages (a JSON array), delivery_id, phone, owner (a table), wait (of the last message, ms), and when
-- the first, the last and the latest arrived: first_at, last_at, newest_at (ms, as digits), and when the oldest was
-- sent: oldest_sent (the same, or nil). more has further fields of the entry, flat: traceparents, if any has one.
-- is_unusual is true where not every message is a plain text.
-- The ms between each message and the one before it go into the list `gaps`, behind its first `place` numbers.
local LONG, NOTHING, REST_WITHIN_MS = 16384, {}, 1000

-- It writes nothing, so any error leaves a batch as it is. It is defined when the first batch leaves.
local function define_merging(order, separator, gaps)
  -- The usual batch has texts that say something, all written by us, each id once, in the order of arrival. It is read
  -- without a table for each message: these are filled anew for each batch, up to a number.
  local texts, jsons, ids, ids_seen, serial, owners = {}, {}, {}, {}, 0, {}
  local function keep(place, json, id)
    jsons[2 * place], jsons[2 * place + 1], ids[place + 2] = json, ',', id
  end

  -- Most texts have no escape, and to copy one is much faster than to decode it.
  local function text_of(item, stop)
    local text = sub(item, 13, stop - 1)
    return find(text, '\\', 1, true) and cjson.decode('["' .. text .. '"]')[1] or text
  end

  -- The id of a message, and where it stops. What follows it says the type.
  local function id_of(item, stop)
    local start = find(item, ',"messageId":"', stop, true)
    local id_stop = start and find(item, '","', start + 14, true)
    if id_stop then return sub(item, start + 14, id_stop - 1), id_stop end
  end

  -- The trace of a message stands between its id and its type, and has one length. Another program may have written the
  -- item: what has not this form is no trace. Returns it, and where its string stops.
  local function trace_of(item, id_stop)
    if sub(item, id_stop, id_stop + 16) ~= '","traceparent":"' then return nil end
    local trace = sub(item, id_stop + 17, id_stop + 71)
    if find(trace, '^00%-%x+%-%x+%-%x%x$') then return trace, id_stop + 72 end
  end

  -- White space: ASCII's own, and what keyboards and phones put in its place. No other byte begins any: most texts say
  -- something with their first.
  local SPACES = { '\194\160', '\226\128[\128-\143\175]', '\226\129[\159\160]', '\227\128\128',
    '\239\187\191', '\225\160\142', '\226\160\128', '\194\173' }
  local NO_SPACE = '^[^%s\194\225\226\227\239]'
  local function begins_with_space(text)
    if find(text, NO_SPACE) then return false end
    if text == '' or find(text, '^%s') then return true end
    for i = 1, #SPACES do
      if find(text, '^' .. SPACES[i]) then return true end
    end
    return false
  end

  -- Fills the tables above. Returns nothing where the batch is not usual, else what `merge` returns, but for what is
  -- made of several messages; and texts (their number), and stop (where the text of the first ends, if it is ours).
  local function read_usual(items, gap_place)
    local first_stop, first_at, newest_at, stop, sent, at, wait, is_sent, oldest, traces
    serial = serial + 1
    for i = 1, #items do
      local item = items[i]
      stop, sent, at, wait, is_sent = scan_item(item)
      if not stop then return nil end
      local text, id, id_stop = text_of(item, stop), id_of(item, stop)
      if not id or ids_seen[id] == serial or begins_with_space(text) then return nil end
      if sub(item, id_stop, id_stop + 14) ~= '","type":"text"' then
        local trace, trace_stop = trace_of(item, id_stop)
        if not trace or sub(item, trace_stop, trace_stop + 14) ~= '","type":"text"' then return nil end
        traces = traces or {}
        traces[i] = trace
      end
      if is_sent and (not oldest or #sent < #oldest or #sent == #oldest and sent < oldest) then oldest = sent end
      ids_seen[id], texts[i] = serial, text
      keep(i, item, id)
      if i == 1 then
        first_stop, first_at, newest_at = stop, at, at
      else
        local gap = at == newest_at and 0 or at - newest_at
        if gap > 0 then newest_at = at else gap = 0 end
        gaps[gap_place + i - 1] = gap
      end
    end
    return { number = #items, texts = #items, stop = first_stop, first_at = first_at, last_at = at, wait = wait,
      newest_at = newest_at, oldest_sent = oldest, traces = traces }
  end

  -- Any other batch: how it is read is defined when there is one.
  local read_unusual
  local function define_unusual()
    -- By the time of sending; what was sent at the same time stays as it arrived. Most providers tell whole seconds,
    -- and what they give no time has the ms of Redis: where any of theirs is a whole second, none is compared more
    -- closely.
    local function sort_by_sent(parts)
      local unit = 1
      for _, part in ipairs(parts) do
        if part.is_sent and part.sent % 1000 == 0 then unit = 1000 end
      end
      for _, part in ipairs(parts) do part.rank = math.floor(part.sent / unit) end
      table.sort(parts, function(a, b) return a.rank < b.rank or (a.rank == b.rank and a.place < b.place) end)
    end

    -- A part as it is handed over: its text without escapes, its type, and its place in the list.
    local function read_part(item, place)
      local part = read_item(item)
      part.place = place
      if part.stop then
        part.text, part.kind = text_of(item, part.stop), match(item, ',"type":"(%a+)"', part.stop)
        local _, id_stop = id_of(item, part.stop)
        if id_stop then
          local trace, stop = trace_of(item, id_stop)
          stop = stop or id_stop
          part.trace, part.is_cut = trace, sub(item, stop, stop + 12) == '","cut":true,'
        end
      end
      return part
    end

    -- The parts of a batch as they arrived, each message id once: an id is marked as seen after its message is stored,
    -- so a call that broke between the two may have stored it twice.
    -- Then the last to arrive, and when the latest did. Only what we wrote says when it arrived: else there is no gap.
    local function parts_of(items, gap_place)
      local parts, once, last, newest_at, before = {}, {}, nil, 0, nil
      for i, item in ipairs(items) do
        last = read_part(item, i)
        if i > 1 then gaps[gap_place + i - 1] = before and last.stop and math.max(0, last.at - before) or 0 end
        if last.stop then before = math.max(before or 0, last.at) end
        newest_at = math.max(newest_at, last.at)
        if not (last.id and once[last.id]) then table.insert(parts, last) end
        if last.id then once[last.id] = true end
      end
      return parts, last, newest_at
    end

    -- What lies between the text and the metadata, as it is stored.
    local function raw_head(part)
      return sub(part.json, part.stop, find(part.json, ',"metadata":', part.stop, true))
    end

    -- An edit, a deletion or a transcript changes the text of the message that it refers to, when that one is still in
    -- the batch; the originals travel along as they came.
    local CHANGES = { edit = true, deletion = true, transcript = true }
    local function apply_changes(parts)
      local places = {}
      for i, part in ipairs(parts) do
        if part.id then places[part.id] = i end
        if CHANGES[part.kind] then
          local place = places[match(raw_head(part), ',"refers":"(.-)"[,}]')]
          part.only_text = true
          if place and place ~= i then
            parts[place].text = part.kind ~= 'deletion' and part.text or ''
            parts[place].only_text, parts[place].is_cut = part.kind == 'deletion', false
            part.text = ''
          end
        end
      end
    end

    -- A text that the sender's client had to cut goes on in the next one, if that came at once.
    local function goes_on(part, rest)
      if rest.kind ~= 'text' or rest.sent < part.sent then return false end
      return math.max(rest.sent - part.sent, rest.at - part.at) <= REST_WITHIN_MS
    end

    local function is_blank(text)
      if not begins_with_space(text) then return false end
      if not find(text, '[^%s]') then return true end
      if find(text, '[%w%p]') then return false end
      for _, space in ipairs(SPACES) do text = string.gsub(text, space, '') end
      return not find(text, '[^%s]')
    end

    -- A text, an edit or a deletion without a text says nothing. Anything else is something: a picture, a place.
    local function says_something(part)
      if not is_blank(part.text) then return true end
      if part.only_text then return false end
      if not part.stop then return true end
      return part.kind ~= 'text' or find(raw_head(part), ',"media":[', 1, true) ~= nil
    end

    local function say_something(parts)
      for _, part in ipairs(parts) do
        if says_something(part) then return true end
      end
      return false
    end

    -- As read_usual. Where the batch says nothing, texts is nil.
    return function(items, gap_place)
      local parts, last, newest_at = parts_of(items, gap_place)
      local first, size, traces, oldest, before = parts[1], 0, nil, nil, nil
      if order == 'sent' then sort_by_sent(parts) end
      apply_changes(parts)
      for i, part in ipairs(parts) do
        keep(i, part.json, part.id or part.json)
        if part.trace then
          traces = traces or {}
          traces[i] = part.trace
        end
        if part.is_sent and (not oldest or part.sent < oldest) then oldest = part.sent end
        if part.text ~= '' then
          if before and before.is_cut and goes_on(before, part) then
            texts[size] = texts[size] .. part.text
          else
            size = size + 1
            texts[size] = part.text
          end
          before = part
        end
      end
      return { number = #parts, texts = say_something(parts) and size or nil, stop = first.stop,
        first_at = whole(first.at), last_at = last.at, newest_at = whole(newest_at), wait = last.wait,
        oldest_sent = oldest and whole(oldest), traces = traces, is_unusual = true }
    end
  end

  local function read_batch(items, gap_place)
    local batch = order == 'arrival' and read_usual(items, gap_place)
    if batch then return batch end
    read_unusual = read_unusual or define_unusual()
    return read_unusual(items, gap_place)
  end

  -- Whose a batch is: company (text), channel, platform, account, chat, simulated. Many batches have the same, to the
  -- byte: then it is decoded once.
  local function owner_of(item, stop)
    if not stop then return {} end
    local till = find(item, ',"messageId":"', stop, true) or stop + 1
    local raw = sub(item, stop + 1, till - 1)
    local owner = owners[raw]
    if not owner then
      owner = cjson.decode('{"_":0' .. raw .. '}')
      owner.company = company_of({ company = match(raw, '^,"companyId":(.-),"channel":') })
      owners[raw] = owner
    end
    return owner
  end

  -- A batch key that is a hash does not tell the phone: its messages do.
  local function phone_of(batch_key, item)
    local is_hashed = find(batch_key, '^[#&]')
    return is_hashed and head_of(read_item(item)).phone or batch_key
  end

  -- The id by which receivers know a merged message: it follows from its messages and the time of the first. So it
  -- stays the same where a failover has lost the hand-over, and that of any other merged message differs.
  local function delivery_id(batch_key, number, first_at)
    ids[1], ids[2] = batch_key, first_at
    return 'msg_' .. sub(redis.sha1hex(table.concat(ids, '\0', 1, number + 2)), 1, 24)
  end

  -- Redis reads every byte of each new Lua string. table.concat puts long texts together piece by piece, and so reads
  -- them twice and more; `..` puts all of its operands together at once.
  local function chain(list, size)
    local longer, groups = {}, 0
    for i = size + 1, size + 24 do list[i] = '' end
    for i = 1, size, 24 do
      groups = groups + 1
      longer[groups] = list[i] .. list[i + 1] .. list[i + 2] .. list[i + 3] .. list[i + 4] .. list[i + 5]
        .. list[i + 6] .. list[i + 7] .. list[i + 8] .. list[i + 9] .. list[i + 10] .. list[i + 11]
        .. list[i + 12] .. list[i + 13] .. list[i + 14] .. list[i + 15] .. list[i + 16] .. list[i + 17]
        .. list[i + 18] .. list[i + 19] .. list[i + 20] .. list[i + 21] .. list[i + 22] .. list[i + 23]
    end
    return groups == 1 and longer[1] or chain(longer, groups)
  end

  -- The JSON array of the messages.
  local function join_messages(number, is_long)
    local size = 2 * number + 1
    jsons[1], jsons[size] = '[', ']'
    return is_long and chain(jsons, size) or table.concat(jsons, '', 1, size)
  end

  -- The traces of the messages, as a JSON array: '' for a message without one.
  local function join_traces(traces, number)
    for i = 1, number do traces[i] = traces[i] or '' end
    return '["' .. table.concat(traces, '","', 1, number) .. '"]'
  end

  local function join_texts(number, is_long)
    if number == 1 then return texts[1] end
    if not is_long or number == 0 then return table.concat(texts, separator, 1, number) end
    local pieces = {}
    for i = 1, number do pieces[2 * i - 1], pieces[2 * i] = texts[i], separator end
    return chain(pieces, 2 * number - 1)
  end

  return function(batch_key, items, place)
    local length = 0
    for i = 1, #items do length = length + #items[i] end
    local is_long, batch = length > LONG, read_batch(items, place)
    batch.phone = phone_of(batch_key, items[1])
    if batch.texts then
      batch.owner, batch.text = owner_of(items[1], batch.stop), join_texts(batch.texts, is_long)
      batch.messages = join_messages(batch.number, is_long)
      batch.more = batch.traces and { 'traceparents', join_traces(batch.traces, batch.number) } or NOTHING
      batch.delivery_id = delivery_id(batch_key, batch.number, batch.first_at)
    end
    return batch, length
  end
end
