-- ARGV: chunk, table, run, epoch candidate, key ids, one a line (they are JSON on one line)
-- Returns the positions (from 0) of the keys that this chunk may carry, or -1 for all of them. Called twice it accepts the
-- same keys twice; of a chunk that somebody has begun, none.
local chunk, tbl, run = ARGV[1], ARGV[2], ARGV[3]
ensure_epoch(ARGV[4])
local ids = lines(ARGV[5])
local before = record_of(chunk)
if before and before.holder then return {} end
local jobs, mark = name('jobs', tbl), 'q|' .. chunk
local states = known_states_of(jobs, ids)
local positions, accepted = {}, {}
for i, id in ipairs(ids) do
  if not states[i] or states[i] == mark then
    positions[#positions + 1] = i - 1
    accepted[#accepted + 1] = id
  end
end
set_all(jobs, accepted, mark)
if #accepted > 0 then
  redis.call('HSET', name('chunks'), chunk,
    cjson.encode({table = tbl, run = run, at = now_ms(), keys = accepted}))
end
if #accepted == #ids then return -1 end
return positions
