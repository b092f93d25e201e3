-- ARGV: search, holder, round, '1' if the round ends with this page, position behind it, key ids...
-- Add a page that was read to the pool of a search. Returns 1, or 0 if it is not ours to read any more.
local search = ARGV[1]
local cursor, pool = name('cursor', search), name('pool', search)
if redis.call('HGET', cursor, 'reader') ~= ARGV[2] or redis.call('HGET', cursor, 'round') ~= ARGV[3] then return 0 end
local ids = {}
for i = 6, #ARGV do ids[#ids + 1] = ARGV[i] end
for first = 1, #ids, SLICE do
  redis.call('RPUSH', pool, unpack(ids, first, math.min(first + SLICE - 1, #ids)))
end
redis.call('HSET', cursor, 'reader', '', 'until', '0', 'after', ARGV[5], 'ended', ARGV[4])
redis.call('PEXPIRE', pool, redis.call('PTTL', cursor))
return 1
