-- begin(): records in RQ that a worker runs jobs. Needs clock.
--
-- to.queue, to.worker      names
-- to.lease                 seconds
-- to.execution_ttl         seconds after which RQ takes an execution for dead
-- to.announce              whether the worker was idle, as RQ knows it
-- jobs                     their ids
local function begin(to, jobs)
  local beginning, dead, lost = seconds(now()), seconds(now() + to.execution_ttl), seconds(now() + to.lease)
  for first = 1, #jobs, 1000 do -- Lua can't unpack more than a few thousand values at once
    local started, executions, leases = {}, {}, {}
    for i = first, math.min(first + 999, #jobs) do
      local job = jobs[i]
      -- A job is started once, so its id will do as the id of its only execution.
      redis.call('HSET', key.execution:format(job, job), 'id', job, 'job_id', job, 'created_at', beginning,
        'last_heartbeat', beginning, 'worker_name', to.worker)
      redis.call('ZADD', key.executions:format(job), dead, job)
      local member = job .. ':' .. job
      table.insert(started, dead)
      table.insert(started, member)
      table.insert(executions, member)
      table.insert(leases, lost)
      table.insert(leases, job)
    end
    redis.call('ZADD', key.started:format(to.queue), unpack(started))
    redis.call('SADD', key.worker_executions:format(to.worker), unpack(executions))
    redis.call('ZADD', key.leases:format(to.queue), unpack(leases))
  end
  if #jobs > 0 and to.announce then
    redis.call('HSET', key.worker:format(to.worker), 'state', 'busy')
  end
end
