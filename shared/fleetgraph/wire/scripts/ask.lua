-- Sends what a task asks to the coordinator that holds its run.
--
-- KEYS[1] run  hash  coordinator
-- further ones: the coordinator's inbox
--
-- ARGV[1] coordinator id of a run that does not say
-- ARGV[2] the request
-- ARGV[3] inbox ttl (seconds)
local inbox = key.inbox:format(redis.call('HGET', KEYS[1], 'coordinator') or ARGV[1])
redis.call('RPUSH', inbox, ARGV[2])
redis.call('EXPIRE', inbox, ARGV[3])
return 1
