-- ARGV: chunk, table, run, holder, epoch candidate, lease [ms], key ids...
-- Returns {epoch, token, positions (from 0) of the granted keys}.
-- A chunk that is not known was worked on already, given up, or forgotten by Redis; whatever is due is queued anew, so a
-- doubled or late message gets nothing.
local chunk, tbl, run, holder = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local epoch = ensure_epoch(ARGV[5])
local main = main_of(holder)
vouch(main, ARGV[6])
-- A holder works on one chunk at a time: what it still has is left from a release that never arrived.
for _, old in ipairs(redis.call('SMEMBERS', name('holder', holder))) do
  if old ~= chunk then free_chunk(holder, old, false, 'left over') end
end
local text = redis.call('HGET', name('chunks'), chunk)
if not text then return {epoch, 0, {}} end
local ids = {}
for i = 7, #ARGV do ids[#ids + 1] = ARGV[i] end
local jobs = name('jobs', tbl)
local token = redis.call('INCR', name('token'))
local state = table.concat({'r', holder, string.format('%.0f', token), chunk}, '|')
local states = states_of(jobs, ids)
local granted, positions = {}, {}
for i, id in ipairs(ids) do
  local before = states[i]
  local is_free = not before or before == 'q|' .. chunk
  if not is_free then
    local owner = holder_of(before)
    is_free = owner and (owner == holder or not is_alive(owner))
  end
  if is_free then
    redis.call('HSET', jobs, id, state)
    granted[#granted + 1] = id
    positions[#positions + 1] = i - 1
  end
end
if #granted > 0 then
  redis.call('HSET', name('chunks'), chunk,
    cjson.encode({table = tbl, run = run, at = now_ms(), keys = granted, holder = holder}))
  redis.call('SADD', name('holder', holder), chunk)
  redis.call('SADD', name('main', main), holder)
end
return {epoch, token, positions}
