-- Finds the tasks of a queue whose worker no longer shows signs of life.
--
-- KEYS[1] leases                 sorted set  job id → end of lease
-- KEYS[2] rq intermediate queue  list        ids of jobs that workers popped
-- KEYS[3] rq started             sorted set  `<job>:<execution>` → when it may be taken for dead
-- KEYS[4] rq queue               list        ids of waiting jobs
-- further ones: rq job, tasks
--
-- ARGV[1] lease (seconds)
-- ARGV[2] leases ttl (seconds)
-- ARGV[3] how many to answer at most
-- ARGV[4] queue name
--
-- Answers `<run> <task> <attempt> <inbox>` of each. They stay due until the task is dispatched again or ends, or its
-- job is deleted.
--@use clock
--@use forget
-- A worker that died between popping a job and recording it, and a stock RQ worker before the job's function runs,
-- have no lease. The job gets one now, on trial.
local trial = {}
for _, job in ipairs(redis.call('LRANGE', KEYS[2], 0, 999)) do
  table.insert(trial, seconds(now() + ARGV[1]))
  table.insert(trial, job)
end
for _, member in ipairs(redis.call('ZRANGE', KEYS[3], 0, 999)) do
  table.insert(trial, seconds(now() + ARGV[1]))
  table.insert(trial, (string.match(member, '^[^:]+')))
end
if #trial > 0 then
  redis.call('ZADD', KEYS[1], 'NX', unpack(trial))
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end

local lost = {}
for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', seconds(now()), 'LIMIT', 0, ARGV[3])) do
  local record = redis.call('HMGET', key.job:format(job), 'status', 'fleetgraph')
  local run, task, attempt = string.match(record[2] or '', '^(%S+) (%S+) (%S+) ')
  -- Its status may be anything: RQ's maintenance, on a host whose clock is wrong, takes those that run for dead. One
  -- that waits was given back.
  local waits = record[1] == 'queued' and redis.call('LPOS', KEYS[4], job)
  if run and not waits and redis.call('HGET', key.tasks:format(run), task) == attempt then
    table.insert(lost, record[2])
  else
    redis.call('ZREM', KEYS[1], job)
    if run and not waits then
      -- Nobody waits for it: its run has expired, say, with the task outstanding.
      forget(ARGV[4], job)
      redis.call('LREM', KEYS[2], 1, job)
    end
  end
end
return lost
