-- Records that a run has begun.
--
-- KEYS[1] run  hash  epoch, status, started
--
-- ARGV[1] epoch
-- ARGV[2] retention (seconds), for a run that does not say
--
-- Answers 'started', 'superseded', 'cancelled', or 'repeated' if it is over or lost.
local record = redis.call('HMGET', KEYS[1], 'epoch', 'status', 'retention', 'ended')
if tonumber(record[1] or 0) > tonumber(ARGV[1]) then
  return 'superseded'
end
if record[4] or not record[1] then
  return 'repeated'
end
if record[2] == 'cancelled' then
  return 'cancelled'
end
--@use clock
redis.call('HSETNX', KEYS[1], 'started', seconds(now()))
redis.call('HSET', KEYS[1], 'status', 'running')
redis.call('EXPIRE', KEYS[1], record[3] or ARGV[2])
return 'started'
