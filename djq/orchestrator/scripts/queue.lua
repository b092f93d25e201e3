-- ARGV: chunk, table, run, epoch candidate, key ids, one a line (they are JSON on one line)
-- Returns the positions (from 0) of the keys that this chunk may carry, or -1 for all of them. Called twice it accepts the
-- same keys twice; of a chunk that somebody has begun, those that it got: they are in flight, and a doubled message gets none.
local chunk, tbl, run = ARGV[1], ARGV[2], ARGV[3]
ensure_epoch(ARGV[4])
local ids = lines(ARGV[5])
local before = record_of(chunk)
local is_begun = before and before.holder
local jobs = name('jobs', tbl)
local states = known_states_of(jobs, ids)
local positions, accepted = {}, {}
for i, id in ipairs(ids) do
  local is_own = states[i] and chunk_of(states[i]) == chunk
  if is_own or not (states[i] or is_begun) then
    positions[#positions + 1] = i - 1
    accepted[#accepted + 1] = id
  end
end
local is_all = #accepted == #ids
if #accepted > 0 and not is_begun then
  set_all(jobs, accepted, 'q|' .. chunk)
  note_chunk(chunk, {table = tbl, run = run, at = now_ms()}, is_all and ARGV[5] or table.concat(accepted, '\n'))
end
return is_all and -1 or positions
