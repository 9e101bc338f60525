-- Shows that a coordinator lives and holds its runs; and tells which ones show no sign of life.
--
-- KEYS[1] coordinators  sorted set  coordinator → end of lease
-- KEYS[2] coordinator   hash        what it tells about itself
-- KEYS[3] owned         set         its runs
-- KEYS[4] runs          sorted set  run → when it was created
-- further ones: runs
--
-- ARGV[1] coordinator id
-- ARGV[2] lease (seconds)
-- ARGV[3] seconds after which its runs are given up, if no coordinator comes back
-- ARGV[4…] field, value, … of what it tells
--
-- Answers {1 if it held its runs until now, its term, ids of coordinators whose lease has expired, …}. The term is another
-- one once somebody has taken over its inbox.
--@use clock
redis.call('EXPIRE', KEYS[3], ARGV[3])
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], seconds(now() + ARGV[2]), ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
redis.call('HSETNX', KEYS[2], 'started', seconds(now()))
redis.call('HSETNX', KEYS[2], 'term', seconds(now()))
redis.call('EXPIRE', KEYS[2], ARGV[3])
for _, run in ipairs(redis.call('ZRANDMEMBER', KEYS[4], 20)) do
  if redis.call('EXISTS', key.run:format(run)) == 0 then
    redis.call('ZREM', KEYS[4], run)
  end
end
return {
  ends and tonumber(ends) > now() and 1 or 0,
  redis.call('HGET', KEYS[2], 'term'),
  unpack(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', seconds(now()))),
}
