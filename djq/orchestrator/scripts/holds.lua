-- ARGV: table, key id, holder, token, chunk, epoch of the reservation, run, lease [ms]
-- Returns 1: still ours; 2: still ours, and the worker is shutting down; 0: lost.
local tbl, id, holder, chunk, epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[5], ARGV[6]
local jobs = name('jobs', tbl)
local mine = table.concat({'r', holder, ARGV[4], chunk}, '|')
local state = redis.call('HGET', jobs, id)
if state ~= mine then
  -- Free, and Redis does not remember when we reserved: it was flushed, nobody took the key from us. Take it again.
  -- Another holder's or chunk's state means that the key moved on; free in our own epoch, that our lease had ended.
  if state or redis.call('GET', name('epoch')) == epoch then return 0 end
  local record = record_of(chunk) or {table = tbl, run = ARGV[7], at = now_ms(), text = '', holder = holder}
  if record.holder ~= holder then return 0 end
  redis.call('HSET', jobs, id, mine)
  note_chunk(chunk, record, record.text .. '\n' .. id)
  redis.call('SADD', name('holder', holder), chunk)
  redis.call('SADD', name('main', main_of(holder)), holder)
  vouch(main_of(holder), ARGV[8])
end
local info = redis.call('GET', name('alive', main_of(holder)))
if info and string.find(info, '"is_stopping":true', 1, true) then return 2 end
return 1
