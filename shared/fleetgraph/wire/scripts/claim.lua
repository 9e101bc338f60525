-- Gives waiting tasks to a worker, of graphs that it has, and records in RQ that it runs them; notes that it waits for
-- more.
--
-- KEYS[1] rq queue               list         ids of waiting jobs
-- KEYS[2] rq workers of the queue set          keys of its workers
-- KEYS[3] rq worker              hash         capacity, lease, graphs
-- KEYS[4] waiting                sorted set   worker → when it last said that it waits for tasks
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
-- ARGV[8] how many tasks the worker can have at once; '' if it is not to be given any that it does not come for
-- ARGV[9] seconds after which a worker that does not come again waits no more
--
-- Answers a flat list: job id, route, data, job id, …
--@use clock
--@use serves
--@use draw
--@use begin
--@use claim
local room = tonumber(ARGV[6])
if room > 0 then
  -- Its share only: one that took all it has room for would leave others idle.
  room = math.min(room, math.ceil(redis.call('LLEN', KEYS[1]) / math.max(1, redis.call('SCARD', KEYS[2]))))
end
local claimed = claim({
  queue = ARGV[1], worker = ARGV[2], lease = ARGV[3], execution_ttl = ARGV[4], announce = ARGV[5] == '1',
}, draw(ARGV[1], ARGV[7], room))
if ARGV[8] ~= '' and redis.call('EXISTS', KEYS[3]) == 1 then -- it may have to register anew
  -- Tasks are handed out also when memory is full, which then refuses this.
  redis.pcall('HSET', KEYS[3], 'capacity', ARGV[8], 'lease', ARGV[3], 'graphs', ARGV[7])
  redis.pcall('ZREMRANGEBYSCORE', KEYS[4], '-inf', seconds(now() - ARGV[9]))
  redis.pcall('ZADD', KEYS[4], seconds(now()), ARGV[2])
  redis.pcall('EXPIRE', KEYS[4], ARGV[9])
end
return claimed
