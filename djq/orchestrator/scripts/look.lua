-- Returns what reap.lua returns, and changes nothing; the epoch is '' where Redis remembers none.
local silent, alive = roll_call()
return {redis.call('GET', name('epoch')) or '', silent, alive}
