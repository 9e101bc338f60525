-- Cancels a run: none of its tasks will start, and nobody waits for those that run. Its coordinator is told, to end it.
--
-- KEYS[1] run    hash  status, retention, coordinator
-- KEYS[2] tasks  hash  task → current attempt
-- further ones: those of the jobs, the coordinator's inbox
--
-- ARGV[1] queue name of a run that does not say
-- ARGV[2] run id
-- ARGV[3] retention (seconds), for a run that does not say
-- ARGV[4] inbox ttl (seconds)
--
-- Answers the number of tasks that were outstanding; -1 if the run is over, or not known.
local record = redis.call('HMGET', KEYS[1], 'status', 'retention', 'coordinator', 'queue')
if record[1] ~= 'pending' and record[1] ~= 'running' then
  return -1
end

--@use forget
--@use unqueue
--@use call_off
local count = call_off(record[4] or ARGV[1], ARGV[2], KEYS[2])
redis.call('HSET', KEYS[1], 'status', 'cancelled')
redis.call('EXPIRE', KEYS[1], record[2] or ARGV[3])
if record[3] then
  local inbox = key.inbox:format(record[3])
  redis.call('RPUSH', inbox, '!cancel ' .. ARGV[2])
  redis.call('EXPIRE', inbox, ARGV[4])
end
return count
