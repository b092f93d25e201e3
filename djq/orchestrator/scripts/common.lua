-- Shared by every script; put in front of each when it is loaded.
--
-- KEYS[1] is the prefix "djq:{namespace}:". All names are made from it, and its hash tag keeps them on one cluster slot:
--   epoch           a random id that lasts as long as Redis remembers; a new one says that everything was forgotten
--   token           counter behind the tokens of reservations
--   jobs:<table>    hash key id -> "q|<chunk>" (queued) or "r|<holder>|<token>|<chunk>" (reserved)
--   chunks          hash chunk -> {"table", "run", "at" [ms, Redis clock], "keys"}; `at` is taken anew by a reservation
--   mains           set of main processes that ever beat; main:<main> the set of its holders; holder:<holder> its chunks
--   alive:<main>    heartbeat, JSON about the process; expires
--   losses:<table>  hash key id -> how many dying workers it took along
--   events          stream of announcements: one field, "e", JSON
-- A holder is "<main>/<slot>", so that its main process can be read from it.

local PREFIX = KEYS[1]
local EVENTS_KEPT = 20000

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

local function main_of(holder)
  return string.match(holder, '^(.*)/[^/]*$')
end

-- After a flush a main process has not beaten yet, and would seem dead: its holder vouches for it, for one lease.
local function vouch(main, lease_ms)
  redis.call('SET', name('alive', main), '{}', 'NX', 'PX', lease_ms)
  redis.call('SADD', name('mains'), main)
end

local function is_alive(holder)
  return redis.call('EXISTS', name('alive', main_of(holder))) == 1
end

-- HMGET and HDEL in slices: Lua cannot unpack more than about 8,000 values.
local SLICE = 4000

local function states_of(jobs, ids)
  local states = {}
  for first = 1, #ids, SLICE do
    local last = math.min(first + SLICE - 1, #ids)
    local part = redis.call('HMGET', jobs, unpack(ids, first, last))
    for i = 1, #part do states[first + i - 1] = part[i] end
  end
  return states
end

local function remove(hash, ids)
  for first = 1, #ids, SLICE do
    redis.call('HDEL', hash, unpack(ids, first, math.min(first + SLICE - 1, #ids)))
  end
end

-- Free what `holder` holds of `chunk`. is_lost: count it, since the keys may be what killed the worker.
local function free_chunk(holder, chunk, is_lost, reason)
  local text = redis.call('HGET', name('chunks'), chunk)
  redis.call('SREM', name('holder', holder), chunk)
  if not text then return 0 end
  local record = cjson.decode(text)
  local jobs = name('jobs', record.table)
  local states = states_of(jobs, record.keys)
  local mine, losses = {}, {}
  for i, id in ipairs(record.keys) do
    local state = states[i]
    if state and string.sub(state, 1, 2) == 'r|' and holder_of(state) == holder
        and string.sub(state, -#chunk - 1) == '|' .. chunk then
      mine[#mine + 1] = id
      if is_lost then
        losses[#losses + 1] = redis.call('HINCRBY', name('losses', record.table), id, 1)
      end
    end
  end
  remove(jobs, mine)
  redis.call('HDEL', name('chunks'), chunk)
  if #mine > 0 then
    local event = {kind = 'freed', table = record.table, chunk = chunk, run = record.run, keys = mine, reason = reason}
    if is_lost then event.losses = losses end
    announce(cjson.encode(event))
  end
  return #mine
end

local function free_holder(holder, is_lost, reason)
  local n_keys = 0
  for _, chunk in ipairs(redis.call('SMEMBERS', name('holder', holder))) do
    n_keys = n_keys + free_chunk(holder, chunk, is_lost, reason)
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
