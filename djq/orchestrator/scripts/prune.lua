-- ARGV: main, '1' if its processes died, number of living slots, living slots of the main process..., pairs of a slot and the
-- key id that its process had in hand...
-- Free what its other holders have: their processes are gone. Returns the number of keys.
local main, is_lost, n_alive = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
local alive, in_hand = {}, {}
for i = 4, 3 + n_alive do alive[main .. '/' .. ARGV[i]] = true end
for i = 4 + n_alive, #ARGV, 2 do in_hand[main .. '/' .. ARGV[i]] = ARGV[i + 1] end
local n_keys = 0
for _, holder in ipairs(redis.call('SMEMBERS', name('main', main))) do
  if not alive[holder] then
    n_keys = n_keys + free_holder(holder, is_lost, 'its process ended', in_hand[holder])
  end
end
return n_keys
