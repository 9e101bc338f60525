-- Gives waiting tasks to a worker, and records in RQ that it runs them.
--
-- KEYS[1] rq queue               list         ids of waiting jobs
-- KEYS[2] rq intermediate queue  list         ids of jobs that workers popped
-- KEYS[3] rq workers of the queue set          keys of its workers
-- further ones, of the jobs: rq job, rq execution, rq executions, rq started, rq worker, rq worker executions,
-- leases, tasks
--
-- ARGV[1] queue name
-- ARGV[2] worker name
-- ARGV[3] lease (seconds)
-- ARGV[4] seconds after which RQ takes an execution for dead
-- ARGV[5] 1 if the worker was idle
-- ARGV[6] how many jobs to take from the queue at most
-- ARGV[7…] ids of jobs that the worker popped itself
--
-- Answers a flat list: job id, route, data, job id, …
--@use clock
--@use claim
local ids = {}
for i = 7, #ARGV do
  -- The coordinator may have taken it back, thinking the worker dead.
  if redis.call('LREM', KEYS[2], 1, ARGV[i]) == 1 then
    table.insert(ids, ARGV[i])
  end
end
local room = tonumber(ARGV[6])
if room > 0 then
  local waiting = redis.call('LLEN', KEYS[1])
  if waiting > 0 then
    -- Its share only: one that took all it has room for would leave others idle.
    local share = math.ceil(waiting / math.max(1, redis.call('SCARD', KEYS[3])))
    for _, job in ipairs(redis.call('LPOP', KEYS[1], math.min(room, share))) do
      table.insert(ids, job)
    end
  end
end
return claim({
  queue = ARGV[1], worker = ARGV[2], lease = ARGV[3], execution_ttl = ARGV[4], announce = ARGV[5] == '1',
}, ids)
