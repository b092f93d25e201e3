-- ARGV: epoch candidate
-- Returns {epoch, JSON list of the main processes whose heartbeat ended, JSON list of what the living ones say}.
local epoch = ensure_epoch(ARGV[1])
local reaped, alive = {}, {}
for _, main in ipairs(redis.call('SMEMBERS', name('mains'))) do
  local info = redis.call('GET', name('alive', main))
  if info then
    alive[#alive + 1] = info
  else
    free_main(main, true, 'heartbeat ended')
    reaped[#reaped + 1] = main
  end
end
return {epoch, reaped, alive}
