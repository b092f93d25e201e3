-- ARGV: chunk, reason
-- Forget a chunk that nobody works on; its keys are free again. Returns the number of keys, or -1 if it is unknown or taken.
local chunk, mark = ARGV[1], 'q|' .. ARGV[1]
local record = record_of(chunk)
if not record or record.holder then return -1 end
local jobs, ids = name('jobs', record.table), keys_of(record)
local states = states_of(jobs, ids)
local queued = {}
for i, id in ipairs(ids) do
  if states[i] == mark then queued[#queued + 1] = id end
end
remove(jobs, queued)
redis.call('HDEL', name('chunks'), chunk)
announce_freed(record, chunk, queued, ARGV[2])
return #queued
