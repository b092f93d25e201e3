-- Shared by every script; put in front of each when it is loaded.
--
-- KEYS[1] is the prefix "djq:{namespace}:". All names are made from it, and its hash tag keeps them on one cluster slot:
--   epoch           a random id that lasts as long as Redis remembers; a new one says that everything was forgotten
--   token           counter behind the tokens of reservations
--   jobs:<table>    hash key id -> "q|<chunk>" (queued) or "r|<holder>|<token>|<chunk>" (reserved); counts while the chunk is known
--   chunks          hash chunk -> {"table", "run", "at" [ms, Redis clock], "holder", "units"}, and behind it its key ids, one a
--                   line: most scripts need no more than the first; `at` is taken anew by a reservation
--   mains           set of main processes that ever beat; main:<main> the set of its holders; holder:<holder> its chunks
--   alive:<main>    heartbeat, JSON about the process; expires
--   pardoned        there is if everybody got a lease lately; expires
--   watched         when anybody last beat or looked for the dead [ms, Redis clock]
--   losses:<table>  hash key id -> how many dying workers it took along; 0: it was in a chunk of several that was lost
--   units:<name>    hash chunk -> how much it uses of what is limited
--   lead:<table>    who queues what is due in the table; expires
--   wants           runs that have something for a queue; want:<run> its priority and the queues; expires
--   cursor:<search> how far a search that several processes share has come; expires: hash {"round", "after", "ended", "reader",
--                   "until"}; pool:<search> the list of key ids that it found and nobody took yet
--   events          stream of announcements: one field, "e", JSON
-- A holder is "<main>/<slot>", so that its main process can be read from it.

local PREFIX = KEYS[1]
local EVENTS_KEPT = 20000
-- Why the keys of the dead are free.
local ENDED = 'heartbeat ended'

local function name(...)
  return PREFIX .. table.concat({...}, ':')
end

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function ensure_epoch(candidate)
  redis.call('SET', name('epoch'), candidate, 'NX')
  return redis.call('GET', name('epoch'))
end

local function announce(text)
  redis.call('XADD', name('events'), 'MAXLEN', '~', EVENTS_KEPT, '*', 'e', text)
end

local function holder_of(state)
  return string.match(state, '^r|([^|]*)|')
end

local function chunk_of(state)
  return string.match(state, '[^|]*$')
end

local function main_of(holder)
  return string.match(holder, '^(.*)/[^/]*$')
end

-- After a flush a main process has not beaten yet, and would seem dead: its holder vouches for it, for one lease.
local function vouch(main, lease_ms)
  redis.call('SET', name('alive', main), '{}', 'NX', 'PX', lease_ms)
  redis.call('SADD', name('mains'), main)
end

-- The main processes whose heartbeat ended, and what the others say of themselves.
local function roll_call()
  local silent, alive = {}, {}
  for _, main in ipairs(redis.call('SMEMBERS', name('mains'))) do
    local info = redis.call('GET', name('alive', main))
    if info then alive[#alive + 1] = info else silent[#silent + 1] = main end
  end
  return silent, alive
end

-- Heartbeats are judged only while there is somebody to hear them. After half a lease without a beat and without a look, Redis
-- was away, or nobody was there: whoever is known gets one lease to beat again, whoever comes first.
local function note_watch(lease_ms)
  local now, last = now_ms(), tonumber(redis.call('GET', name('watched')) or '0')
  redis.call('SET', name('watched'), string.format('%.0f', now))
  if last == 0 or now - last <= tonumber(lease_ms) / 2 then return end
  -- Not again at once: where one worker is left that beats rarely, the dead would never be freed.
  if not redis.call('SET', name('pardoned'), '1', 'NX', 'PX', 2 * tonumber(lease_ms)) then return end
  for _, main in ipairs(redis.call('SMEMBERS', name('mains'))) do
    vouch(main, lease_ms)
    redis.call('PEXPIRE', name('alive', main), lease_ms)
  end
end

local function is_alive(holder)
  return redis.call('EXISTS', name('alive', main_of(holder))) == 1
end

local function give_units_back(record, chunk)
  for resource in pairs(record.units or {}) do redis.call('HDEL', name('units', resource), chunk) end
end

-- Take what a chunk needs of what is limited: `wanted` is {name -> {units, limit}}. Returns the first name that is used up.
local function take_units(wanted, chunk)
  for resource, need in pairs(wanted) do
    local used = 0
    local holders = redis.call('HGETALL', name('units', resource))
    for i = 1, #holders, 2 do
      if holders[i] ~= chunk then used = used + tonumber(holders[i + 1]) end
    end
    if used + need[1] > need[2] then return resource end
  end
  for resource, need in pairs(wanted) do redis.call('HSET', name('units', resource), chunk, need[1]) end
end

local function units_of(wanted)
  local units = nil
  for resource, need in pairs(wanted) do
    units = units or {}
    units[resource] = need[1]
  end
  return units
end

-- HMGET and HDEL in slices: Lua cannot unpack more than about 8,000 values.
local SLICE = 4000

local function states_of(jobs, ids)
  if #ids > 0 and #ids <= SLICE then return redis.call('HMGET', jobs, unpack(ids)) end
  local states = {}
  for first = 1, #ids, SLICE do
    local last = math.min(first + SLICE - 1, #ids)
    local part = redis.call('HMGET', jobs, unpack(ids, first, last))
    for i = 1, #part do states[first + i - 1] = part[i] end
  end
  return states
end

-- The key ids of an argument: one a line, since they are JSON on one line. Many arguments would cost both sides much more.
local function lines(text)
  local ids = {}
  for id in string.gmatch(text, '[^\n]+') do ids[#ids + 1] = id end
  return ids
end

local function set_all(hash, ids, value)
  local fields = {}
  for _, id in ipairs(ids) do
    fields[#fields + 1] = id
    fields[#fields + 1] = value
  end
  for first = 1, #fields, SLICE do
    redis.call('HSET', hash, unpack(fields, first, math.min(first + SLICE - 1, #fields)))
  end
end

local function remove(hash, ids)
  for first = 1, #ids, SLICE do
    redis.call('HDEL', hash, unpack(ids, first, math.min(first + SLICE - 1, #ids)))
  end
end

-- What is known of a chunk, without its keys; false if nothing is.
local function record_of(chunk)
  local text = redis.call('HGET', name('chunks'), chunk)
  if not text then return false end
  local break_at = string.find(text, '\n', 1, true)
  local record = cjson.decode(string.sub(text, 1, break_at - 1))
  record.text = string.sub(text, break_at + 1)
  return record
end

-- The key ids of a record.
local function keys_of(record)
  return lines(record.text)
end

-- Note what is known of a chunk; `text` has its key ids, one a line.
local function note_chunk(chunk, record, text)
  record.text = nil
  redis.call('HSET', name('chunks'), chunk, cjson.encode(record) .. '\n' .. text)
end

local function announce_freed(record, chunk, ids, reason, losses)
  if #ids == 0 then return end
  announce(cjson.encode({kind = 'freed', table = record.table, chunk = chunk, run = record.run, keys = ids, reason = reason,
    losses = losses}))
end

-- The keys of a record that `holder` has by `chunk`.
local function held_keys(record, holder, chunk)
  local ids, held = keys_of(record), {}
  local states = states_of(name('jobs', record.table), ids)
  for i, id in ipairs(ids) do
    local state = states[i]
    if state and holder_of(state) == holder and string.sub(state, -#chunk - 1) == '|' .. chunk then held[#held + 1] = id end
  end
  return held
end

-- Free what `holder` holds of `chunk`. is_lost: its process died. The key that it had in hand may be what killed it, and is
-- counted: `in_hand` if that is known, otherwise the key of a chunk of one. Of several, any may be it: none is counted, and all
-- are noted as suspects. What is known not to be it has null for a count.
local function free_chunk(holder, chunk, is_lost, reason, in_hand)
  local record = record_of(chunk)
  redis.call('SREM', name('holder', holder), chunk)
  if not record or record.holder ~= holder then return 0 end  -- another has taken it over
  local mine, losses = held_keys(record, holder, chunk), {}
  local is_known = false
  for _, id in ipairs(mine) do
    if id == in_hand then is_known = true end
  end
  local count = (is_known or #keys_of(record) == 1) and 1 or 0
  for i, id in ipairs(mine) do
    local is_suspect = is_lost and (id == in_hand or not is_known)
    losses[i] = is_suspect and redis.call('HINCRBY', name('losses', record.table), id, count) or cjson.null
  end
  remove(name('jobs', record.table), mine)
  redis.call('HDEL', name('chunks'), chunk)
  give_units_back(record, chunk)
  announce_freed(record, chunk, mine, reason, is_lost and losses or nil)
  return #mine
end

local function free_holder(holder, is_lost, reason, in_hand)
  local n_keys = 0
  for _, chunk in ipairs(redis.call('SMEMBERS', name('holder', holder))) do
    n_keys = n_keys + free_chunk(holder, chunk, is_lost, reason, in_hand)
  end
  redis.call('DEL', name('holder', holder))
  redis.call('SREM', name('main', main_of(holder)), holder)
  return n_keys
end

local function free_main(main, is_lost, reason)
  local n_keys = 0
  for _, holder in ipairs(redis.call('SMEMBERS', name('main', main))) do
    n_keys = n_keys + free_holder(holder, is_lost, reason)
  end
  redis.call('DEL', name('main', main), name('alive', main))
  redis.call('SREM', name('mains'), main)
  return n_keys
end

-- Reserve keys, of which `text` has one a line, for a holder under a new token, as chunk `chunk`. Returns the token.
local function reserve_keys(chunk, tbl, run, holder, ids, text, units)
  local token = redis.call('INCR', name('token'))
  local state = table.concat({'r', holder, string.format('%.0f', token), chunk}, '|')
  local jobs = name('jobs', tbl)
  set_all(jobs, ids, state)
  note_chunk(chunk, {table = tbl, run = run, at = now_ms(), holder = holder, units = units}, text)
  redis.call('SADD', name('holder', holder), chunk)
  redis.call('SADD', name('main', main_of(holder)), holder)
  return token
end

-- A holder works on one chunk at a time: what it still has is left from a release that never arrived.
local function free_left_over(holder, chunk)
  for _, old in ipairs(redis.call('SMEMBERS', name('holder', holder))) do
    if old ~= chunk then free_chunk(holder, old, false, 'left over') end
  end
end

-- The states of keys, as far as they count: the chunk of a state must be known. Whatever left one behind, its key is free.
-- Keys of one chunk have one state, which is looked at once.
local function known_states_of(jobs, ids)
  local states, is_known = states_of(jobs, ids), {}
  for i, state in ipairs(states) do
    if state then
      if is_known[state] == nil then is_known[state] = redis.call('HEXISTS', name('chunks'), chunk_of(state)) == 1 end
      if not is_known[state] then states[i] = false end
    end
  end
  return states
end

-- The same for who would take the keys. A chunk of a dead holder is freed first and counted, as `reap` does, which comes later:
-- a key that kills process after process would be taken uncounted, by one after the other.
local function states_for(holder, jobs, ids)
  local states, is_taken = known_states_of(jobs, ids), {}
  for i, state in ipairs(states) do
    if state then
      if is_taken[state] == nil then
        local owner = holder_of(state)
        is_taken[state] = not owner or owner == holder or is_alive(owner)
        if not is_taken[state] then free_chunk(owner, chunk_of(state), true, ENDED) end
      end
      if not is_taken[state] then states[i] = false end
    end
  end
  return states
end

local function is_free_for(state, holder)
  return not state or holder_of(state) == holder
end
