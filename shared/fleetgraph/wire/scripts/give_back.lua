-- Puts a job that a worker popped, but won't run, back to the head of the queue.
--
-- KEYS[1] rq queue               list  ids of waiting jobs
-- KEYS[2] rq intermediate queue  list  ids of jobs that workers popped
-- KEYS[3] leases                 sorted set  job id → end of lease
-- ARGV[1] job id
--
-- Answers 1, or 0 if the coordinator had taken it back already.
if redis.call('LREM', KEYS[2], 1, ARGV[1]) == 1 then
  redis.call('LPUSH', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  return 1
end
return 0
