-- claim(): gives waiting jobs to a worker. Needs clock.
--
-- to.queue, to.worker   names
-- to.lease              seconds
-- to.announce           whether the worker was idle, as RQ knows it
-- ids                   job ids, no longer in the queue
-- records               of some of them: status, route, data
--
-- Answers a flat list: job id, route (`<run> <task> <attempt> <inbox>`), data, job id, …
-- A job that no longer exists, was taken by somebody else, or is not its task's current attempt is dropped.
local function claim(to, ids, records)
  local claimed, started, executions, leases = {}, {}, {}, {}
  if #ids == 0 then
    return claimed
  end
  local text = stamp()
  for _, job in ipairs(ids) do
    local record = records[job] or redis.call('HMGET', key.job:format(job), 'status', 'fleetgraph', 'data')
    local status, route, data = record[1], record[2] or '', record[3]
    local run, task, attempt = string.match(route, '^(%S+) (%S+) (%S+) ')
    if status == 'queued' and data then
      if run and redis.call('HGET', key.tasks:format(run), task) ~= attempt then
        redis.call('DEL', key.job:format(job))
      else
        redis.call('HSET', key.job:format(job), 'status', 'started', 'started_at', text, 'last_heartbeat', text,
          'worker_name', to.worker)
        -- A job is started once, so its id will do as the id of its only execution.
        redis.call('HSET', key.execution:format(job, job), 'id', job, 'job_id', job, 'created_at', seconds(now()),
          'last_heartbeat', seconds(now()), 'worker_name', to.worker)
        redis.call('ZADD', key.executions:format(job), seconds(now() + to.execution_ttl), job)
        local member = job .. ':' .. job
        table.insert(started, seconds(now() + to.execution_ttl))
        table.insert(started, member)
        table.insert(executions, member)
        table.insert(leases, seconds(now() + to.lease))
        table.insert(leases, job)
        table.insert(claimed, job)
        table.insert(claimed, route)
        table.insert(claimed, data)
      end
    end
  end
  if #claimed > 0 then
    redis.call('ZADD', key.started:format(to.queue), unpack(started))
    redis.call('SADD', key.worker_executions:format(to.worker), unpack(executions))
    redis.call('ZADD', key.leases:format(to.queue), unpack(leases))
    if to.announce then
      redis.call('HSET', key.worker:format(to.worker), 'state', 'busy')
    end
  end
  return claimed
end
