-- Stores an item, in the place of the one that may be there.
--
-- KEYS[1] the store's prefix
-- ARGV[1] id, ARGV[2] value, ARGV[3] time to live (milliseconds; '' for ever), ARGV[4] embeddings ('' for none)
-- ARGV[5] how many expired items to clear away beside it
--@use index
local id, ttl = ARGV[1], ARGV[3]
local item = item_key(id)
local time = digits(clock[1] * 1000000 + clock[2])
local is_new = redis.call('EXISTS', item) == 0

-- First, since a Redis that is full refuses a script's first write, but none after it.
redis.call('HSET', item, 'v', ARGV[2], 'u', time, 't', ttl, 'e', ARGV[4])
if is_new then
  redis.call('HSET', item, 'c', time)
  unlist(id) -- the index may know one that expired
  list(id)
end
if ttl == '' then
  redis.call('PERSIST', item)
  redis.call('ZREM', expiring_key, id)
else
  begin_anew(id, ttl)
end
sweep(tonumber(ARGV[5]))
