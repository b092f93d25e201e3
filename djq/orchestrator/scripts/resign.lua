-- ARGV: who we are, tables... Give up the lead of those that are ours; returns how many.
local n = 0
for i = 2, #ARGV do
  local key = name('lead', ARGV[i])
  if redis.call('GET', key) == ARGV[1] then n = n + redis.call('DEL', key) end
end
return n
