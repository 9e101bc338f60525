-- claim(): gives waiting jobs to a worker. Needs clock, begin.
--
-- to        as for begin
-- ids       job ids, no longer in the queue
-- records   of some of them: status, route, data
--
-- Answers a flat list: job id, route (`<run> <task> <attempt> <inbox>`), data, job id, …
-- A job that no longer exists, was taken by somebody else, or is not its task's current attempt is dropped.
local function claim(to, ids, records)
  local claimed, jobs = {}, {}
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
        table.insert(jobs, job)
        table.insert(claimed, job)
        table.insert(claimed, route)
        table.insert(claimed, data)
      end
    end
  end
  begin(to, jobs)
  return claimed
end
