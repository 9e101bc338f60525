-- Gives up a coordinator's lease, as if it had ended this moment.
--
-- KEYS[1] coordinators  sorted set  coordinator → end of lease
-- KEYS[2] coordinator   hash        what it tells about itself
-- KEYS[3] owned         set         its runs
-- KEYS[4] inbox         list
-- KEYS[5] calls         list        what clients ask of it
--
-- ARGV[1] coordinator id
if redis.call('EXISTS', KEYS[3], KEYS[5]) > 0 then
  redis.call('ZADD', KEYS[1], 'XX', 0, ARGV[1])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('DEL', KEYS[2], KEYS[4])
end
return 1
