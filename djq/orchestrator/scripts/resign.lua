-- ARGV: who we are (JSON). Give the lead up, if it is ours.
if redis.call('GET', name('leader')) == ARGV[1] then
  return redis.call('DEL', name('leader'))
end
return 0
