-- ARGV: search, table, run, holder, chunk, epoch candidate, lease [ms], keys wanted, round that ends the search or 0
-- Take keys of a search that several processes share, and reserve them at once. The search goes in rounds over all due keys,
-- page by page; every page is read by one process, and its keys wait in a pool. A process is done when a round has ended that
-- began after the process first asked.
-- Called twice, since its answer was lost, it grants the same keys under a new token.
-- Returns {epoch, token, ids, round to end with, '1' if the caller has to read the next page, position to read behind, round of
-- the page, '1' if the search is done, losses of the ids}.
local search, tbl, run, holder, chunk = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local n_wanted, last_round = tonumber(ARGV[8]), tonumber(ARGV[9])
local lease_ms = tonumber(ARGV[7])
local epoch = ensure_epoch(ARGV[6])
vouch(main_of(holder), lease_ms)
free_left_over(holder, chunk)

local cursor, pool = name('cursor', search), name('pool', search)
-- A pool that nobody asks for is forgotten. Longer than a lease: a holder may be busy with its chunk for a while.
local KEPT_MS = math.max(60000, 10 * lease_ms)
local function field(which) return redis.call('HGET', cursor, which) or '' end
local round = tonumber(field('round')) or 0
local has_ended = round == 0 or (field('ended') == '1' and redis.call('EXISTS', pool) == 0)
if last_round == 0 then last_round = round + 1 end

local jobs = name('jobs', tbl)
-- Taken from the pool before it is known whether they are free: a key in other hands is theirs. Bounded, for the server's sake.
local MOST = 5000
local before = record_of(chunk)
local granted, n_popped = {}, 0
if before and before.holder == holder then granted, n_popped = held_keys(before, holder, chunk), MOST end
local function put_back(ids, first)
  for i = #ids, first, -1 do redis.call('LPUSH', pool, ids[i]) end
end
-- A key that was lost with a process may be what killed it: it travels alone.
local is_alone = false
while n_wanted > #granted and n_popped < MOST and not is_alone do
  local ids = redis.call('LPOP', pool, n_wanted - #granted)
  if not ids or #ids == 0 then break end
  n_popped = n_popped + #ids
  local states = states_for(holder, jobs, ids)
  local suspects = states_of(name('losses', tbl), ids)
  for i, id in ipairs(ids) do
    if is_free_for(states[i], holder) then
      is_alone = suspects[i]
      if is_alone and #granted > 0 then
        put_back(ids, i)
        break
      end
      granted[#granted + 1] = id
      if is_alone then
        put_back(ids, i + 1)
        break
      end
    end
  end
end
local token, losses = 0, {}
if #granted > 0 then
  token = reserve_keys(chunk, tbl, run, holder, granted, table.concat(granted, '\n'))
  losses = states_of(name('losses', tbl), granted)
  for i = 1, #granted do losses[i] = losses[i] or '0' end
end

local is_reader, is_done, after = '0', '0', ''
if has_ended and round >= last_round then
  is_done = '1'
else
  if has_ended then
    round = round == 0 and last_round or round + 1
    redis.call('DEL', cursor, pool)
    redis.call('HSET', cursor, 'round', round, 'after', '', 'ended', '0', 'until', '0')
  end
  local is_low = redis.call('LLEN', pool) < 4 * n_wanted
  local is_free = field('reader') == holder or tonumber(field('until')) <= now_ms()
  if is_low and field('ended') == '0' and is_free then
    is_reader, after = '1', field('after')
    redis.call('HSET', cursor, 'reader', holder, 'until', string.format('%.0f', now_ms() + lease_ms))
  end
end
redis.call('PEXPIRE', cursor, KEPT_MS)
redis.call('PEXPIRE', pool, KEPT_MS)
return {epoch, token, granted, last_round, is_reader, after, round, is_done, losses}
