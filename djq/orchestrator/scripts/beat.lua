-- ARGV: main, JSON about it, lease [ms], epoch candidate
note_watch(ARGV[3])
redis.call('SET', name('alive', ARGV[1]), ARGV[2], 'PX', ARGV[3])
redis.call('SADD', name('mains'), ARGV[1])
return ensure_epoch(ARGV[4])
