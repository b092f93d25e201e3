-- ARGV: who we are, lease [ms], tables...
-- Take or renew the lead of each table that nobody else leads. Returns the positions (from 0) of the tables that we lead.
local positions = {}
for i = 3, #ARGV do
  local key = name('lead', ARGV[i])
  local leader = redis.call('GET', key)
  if not leader or leader == ARGV[1] then
    redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    positions[#positions + 1] = i - 3
  end
end
return positions
