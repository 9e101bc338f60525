-- Gives waiting tasks to a worker, of graphs that it has, and records in RQ that it runs them.
--
-- KEYS[1] rq queue               list         ids of waiting jobs
-- KEYS[2] rq intermediate queue  list         ids of jobs that workers popped
-- KEYS[3] rq workers of the queue set          keys of its workers
-- further ones, of the jobs: rq job, rq execution, rq executions, rq started, rq worker, rq worker executions,
-- leases, tasks, run
--
-- ARGV[1] queue name
-- ARGV[2] worker name
-- ARGV[3] lease (seconds)
-- ARGV[4] seconds after which RQ takes an execution for dead
-- ARGV[5] 1 if the worker was idle
-- ARGV[6] how many jobs to take from the queue at most
-- ARGV[7] `<fingerprint> <name>` of each graph the worker has, one a line; '' if it takes whatever comes
-- ARGV[8…] ids of jobs that the worker popped itself
--
-- Answers a flat list: job id, route, data, job id, …
--@use clock
--@use draw
--@use claim
local popped = {}
for i = 8, #ARGV do
  -- The coordinator may have taken it back, thinking the worker dead.
  if redis.call('LREM', KEYS[2], 1, ARGV[i]) == 1 then
    table.insert(popped, ARGV[i])
  end
end
local room = tonumber(ARGV[6])
if room > 0 then
  -- Its share only: one that took all it has room for would leave others idle.
  room = math.min(room, math.ceil(redis.call('LLEN', KEYS[1]) / math.max(1, redis.call('SCARD', KEYS[3]))))
end
return claim({
  queue = ARGV[1], worker = ARGV[2], lease = ARGV[3], execution_ttl = ARGV[4], announce = ARGV[5] == '1',
}, draw(ARGV[1], ARGV[7], popped, room))
