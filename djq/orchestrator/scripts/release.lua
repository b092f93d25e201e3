-- ARGV: table, holder, token, chunk, announcement, settled key ids, other key ids (both: one a line)
-- Settled keys (made, exists, failed, empty) will not come back, so their count of losses ends, too.
local tbl, holder, chunk = ARGV[1], ARGV[2], ARGV[4]
local mine = table.concat({'r', holder, ARGV[3], chunk}, '|')
local ids = lines(ARGV[6] .. '\n' .. ARGV[7])
local jobs = name('jobs', tbl)
local states = states_of(jobs, ids)
local held = {}
for i, id in ipairs(ids) do
  if states[i] == mine then held[#held + 1] = id end
end
remove(jobs, held)
local losses = name('losses', tbl)
if redis.call('EXISTS', losses) == 1 then remove(losses, lines(ARGV[6])) end
-- Only if it is ours: a Redis that came back without its last second may have the chunk as queued, with its message.
local record = record_of(chunk)
if record and record.holder == holder then
  give_units_back(record, chunk)
  redis.call('HDEL', name('chunks'), chunk)
end
redis.call('SREM', name('holder', holder), chunk)
announce(ARGV[5])
return #held
