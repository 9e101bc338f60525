-- Shows that a worker lives and holds its tasks, and tells it which of them nobody waits for any longer.
--
-- KEYS[1] leases                sorted set  job id → end of lease
-- KEYS[2] rq suspended          string      there while workers are to take nothing
-- KEYS[3] rq worker             hash        last_heartbeat, successful_job_count, …
-- KEYS[4] rq worker executions  set         `<job>:<execution>`
-- KEYS[5] rq started            sorted set  `<job>:<execution>` → when it may be taken for dead
-- further ones: rq job, rq execution, rq executions, and the keys of the runs
--
-- ARGV[1] lease (seconds)
-- ARGV[2] leases ttl (seconds)
-- ARGV[3] seconds after which RQ takes an execution for dead; '' if RQ itself keeps its records
-- ARGV[4] seconds after which RQ takes the worker for dead
-- ARGV[5] jobs that succeeded, ARGV[6] failed, ARGV[7] seconds spent on them: since the last heartbeat
-- ARGV[8] retention (seconds), for a run that does not say
-- ARGV[9…] four for each task: job id, run id, task id, attempt
--
-- Answers {1 if suspended, 1 if RQ knows the worker, ids of the jobs nobody waits for, …}.
--@use clock
--@use renew
local settle = ARGV[3] ~= ''
local text = stamp()
local answer = { redis.call('EXISTS', KEYS[2]), 1 }

if settle then
  -- An EXPIRE first: Redis lets a script that has written go on when memory is full.
  if redis.call('EXPIRE', KEYS[3], ARGV[4]) == 0 then
    answer[2] = 0
  else
    redis.call('HSET', KEYS[3], 'last_heartbeat', text)
    if tonumber(ARGV[5]) > 0 then
      redis.call('HINCRBY', KEYS[3], 'successful_job_count', ARGV[5])
    end
    if tonumber(ARGV[6]) > 0 then
      redis.call('HINCRBY', KEYS[3], 'failed_job_count', ARGV[6])
    end
    if tonumber(ARGV[7]) > 0 then
      redis.call('HINCRBYFLOAT', KEYS[3], 'total_working_time', ARGV[7])
    end
  end
end

local held, runs = {}, {}
for i = 9, #ARGV, 4 do
  local job, run, task, attempt = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if redis.call('HGET', key.tasks:format(run), task) == attempt then
    table.insert(held, job)
    runs[run] = true
  else
    table.insert(answer, job)
  end
end

for run in pairs(runs) do
  renew(run, ARGV[8])
end

local leases, started = {}, {}
for _, job in ipairs(held) do
  table.insert(leases, seconds(now() + ARGV[1]))
  table.insert(leases, job)
  -- Writing into a hash that somebody deleted would bring it back as a ruin.
  if settle and redis.call('EXPIRE', key.execution:format(job, job), ARGV[3]) == 1 then
    redis.call('HSET', key.execution:format(job, job), 'last_heartbeat', seconds(now()))
    redis.call('EXPIRE', key.executions:format(job), ARGV[3])
    redis.call('HSET', key.job:format(job), 'last_heartbeat', text)
    table.insert(started, seconds(now() + ARGV[3]))
    table.insert(started, job .. ':' .. job)
  end
end
if #leases > 0 then
  redis.call('ZADD', KEYS[1], unpack(leases))
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
if #started > 0 then
  redis.call('EXPIRE', KEYS[4], ARGV[4])
  redis.call('ZADD', KEYS[5], 'XX', unpack(started))
end
return answer
