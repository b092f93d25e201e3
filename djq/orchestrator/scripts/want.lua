-- ARGV: run, lease [ms], priority, queues that it has something for (one a line, "queue chunks")
-- Say what a run wants, and hear of the others. Returns {priority, line, line...} for each of them.
local run, queues = ARGV[1], lines(ARGV[4])
if #queues > 0 then
  redis.call('SET', name('want', run), ARGV[3] .. '\n' .. ARGV[4], 'PX', ARGV[2])
  redis.call('SADD', name('wants'), run)
else
  redis.call('DEL', name('want', run))
  redis.call('SREM', name('wants'), run)
end
local others = {}
for _, other in ipairs(redis.call('SMEMBERS', name('wants'))) do
  local text = redis.call('GET', name('want', other))
  if not text then
    redis.call('SREM', name('wants'), other)
  elseif other ~= run then
    others[#others + 1] = lines(text)
  end
end
return others
