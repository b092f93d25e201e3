-- ARGV: chunk, table, run, epoch candidate, key ids, one a line (they are JSON on one line)
-- Returns the positions (from 0) of the keys that this chunk may carry, or -1 for all of them. Called twice it accepts the
-- same keys twice.
local chunk, tbl, run = ARGV[1], ARGV[2], ARGV[3]
ensure_epoch(ARGV[4])
local ids = {}
for id in string.gmatch(ARGV[5], '[^\n]+') do ids[#ids + 1] = id end
local jobs, mark = name('jobs', tbl), 'q|' .. chunk
local states = states_of(jobs, ids)
local positions, accepted, fields = {}, {}, {}
for i, id in ipairs(ids) do
  if not states[i] or states[i] == mark then
    positions[#positions + 1] = i - 1
    accepted[#accepted + 1] = id
    fields[#fields + 1] = id
    fields[#fields + 1] = mark
  end
end
for first = 1, #fields, SLICE do
  redis.call('HSET', jobs, unpack(fields, first, math.min(first + SLICE - 1, #fields)))
end
if #accepted > 0 then
  redis.call('HSET', name('chunks'), chunk,
    cjson.encode({table = tbl, run = run, at = now_ms(), keys = accepted}))
end
if #accepted == #ids then return -1 end
return positions
