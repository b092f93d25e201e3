-- ARGV: epoch candidate, lease [ms]
-- Free what main processes hold whose heartbeat ended.
-- Returns {epoch, these main processes, what the living ones say (JSON)}.
local epoch = ensure_epoch(ARGV[1])
note_watch(ARGV[2])
local silent, alive = roll_call()
for _, main in ipairs(silent) do free_main(main, true, ENDED) end
return {epoch, silent, alive}
