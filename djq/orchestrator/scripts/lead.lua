-- ARGV: who we are (JSON), lease [ms]
-- Take or renew the lead. Returns the JSON of whoever leads.
local leader = redis.call('GET', name('leader'))
if not leader or leader == ARGV[1] then
  redis.call('SET', name('leader'), ARGV[1], 'PX', ARGV[2])
  return ARGV[1]
end
return leader
