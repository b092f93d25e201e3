-- ARGV: chunk, table, run, epoch candidate, key ids...
-- Returns the positions (from 0) of the keys that this chunk may carry. Called twice it accepts the same keys twice.
local chunk, tbl, run = ARGV[1], ARGV[2], ARGV[3]
ensure_epoch(ARGV[4])
local ids = {}
for i = 5, #ARGV do ids[#ids + 1] = ARGV[i] end
local jobs, mark = name('jobs', tbl), 'q|' .. chunk
local states = states_of(jobs, ids)
local positions, accepted = {}, {}
for i, id in ipairs(ids) do
  if not states[i] or states[i] == mark then
    positions[#positions + 1] = i - 1
    accepted[#accepted + 1] = id
    redis.call('HSET', jobs, id, mark)
  end
end
if #accepted > 0 then
  redis.call('HSET', name('chunks'), chunk,
    cjson.encode({table = tbl, run = run, at = now_ms(), keys = accepted}))
end
return positions
