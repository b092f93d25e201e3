-- ARGV: chunk, table, run, holder, epoch candidate, lease [ms], JSON {limited resource -> [units, limit]},
-- key ids (one a line)
-- Returns {epoch, token, positions (from 0) of the granted keys or -1 for all, resource that is used up or ''}.
-- A chunk that is not known was worked on already, given up, or forgotten by Redis; whatever is due is queued anew, so a
-- doubled or late message gets nothing. One whose holder died is given up now.
local chunk, tbl, run, holder, wanted = ARGV[1], ARGV[2], ARGV[3], ARGV[4], cjson.decode(ARGV[7])
local epoch = ensure_epoch(ARGV[5])
vouch(main_of(holder), ARGV[6])
free_left_over(holder, chunk)
local record = record_of(chunk)
-- Somebody works on it: what that one did not get belongs to others, whatever has become of it.
local is_taken = record and record.holder and record.holder ~= holder
if is_taken and not is_alive(record.holder) then free_chunk(record.holder, chunk, true, ENDED) end
if not record or is_taken then return {epoch, 0, {}, ''} end
local ids = lines(ARGV[8])
local jobs, mark = name('jobs', tbl), 'q|' .. chunk
local states = states_for(holder, jobs, ids)
local granted, positions, ours = {}, {}, {}
for i, id in ipairs(ids) do
  local is_ours = states[i] == mark
  if is_ours or is_free_for(states[i], holder) then
    if is_ours or (states[i] and chunk_of(states[i]) == chunk) then ours[#ours + 1] = id end
    granted[#granted + 1] = id
    positions[#positions + 1] = i - 1
  end
end
if #granted == 0 then return {epoch, 0, {}, ''} end
local short = take_units(wanted, chunk)
if short then
  -- Back to the schedulers: this slot is free for other tables meanwhile.
  remove(jobs, ours)
  redis.call('HDEL', name('chunks'), chunk)
  give_units_back(record, chunk)
  announce_freed(record, chunk, ours, 'limit ' .. short)
  return {epoch, 0, {}, short}
end
local is_all = #granted == #ids
local text = is_all and ARGV[8] or table.concat(granted, '\n')
local token = reserve_keys(chunk, tbl, run, holder, granted, text, units_of(wanted))
return {epoch, token, is_all and -1 or positions, ''}
