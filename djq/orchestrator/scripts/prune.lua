-- ARGV: main, '1' if the keys are to be counted as lost, slots of the main process that are alive...
-- Free what its other holders have: their processes are gone. Returns the number of keys.
local main, is_lost = ARGV[1], ARGV[2] == '1'
local alive = {}
for i = 3, #ARGV do alive[main .. '/' .. ARGV[i]] = true end
local n_keys = 0
for _, holder in ipairs(redis.call('SMEMBERS', name('main', main))) do
  if not alive[holder] then
    n_keys = n_keys + free_holder(holder, is_lost, 'its process ended')
  end
end
return n_keys
