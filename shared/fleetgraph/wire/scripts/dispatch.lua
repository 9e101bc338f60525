-- Gives tasks of a run to workers that wait for some, or puts them into the queue: their first attempt, or the next one
-- of a task whose attempt was lost.
--
-- KEYS[1] run         hash   epoch, status, retention, dispatched
-- KEYS[2] tasks       hash   task → current attempt
-- KEYS[3] rq queue    list   ids of waiting jobs
-- KEYS[4] rq queues   set    keys of all queues
-- further ones: waiting, rq worker, rq worker executions, rq started, leases, and those of the jobs
--
-- ARGV[1] queue name
-- ARGV[2] epoch
-- ARGV[3] retention (seconds), for a run that does not say
-- ARGV[4] failure_ttl (seconds): how long RQ keeps a failed job
-- ARGV[5] run id
-- ARGV[6] inbox (coordinator id)
-- ARGV[7] number of this batch in the epoch, '' if it is never sent again
-- ARGV[8] seconds after which RQ takes an execution for dead
-- ARGV[9] the superstep of the run's own graph, for its record; '' where it is not known
-- ARGV[10…] seven for each task: task id, attempt, job id, the lost attempt's job id or '', description, timeout, data
--
-- Answers 1 or 0 for each task: whether it was put; or 'superseded', 'cancelled', 'repeated', or 'incomplete' if the batch
-- before it has not arrived.
local run, tasks, list, queues = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local queue, run_id, inbox = ARGV[1], ARGV[5], ARGV[6]

local record = redis.call('HMGET', run, 'epoch', 'status', 'retention', 'dispatched', 'fingerprint', 'graph')
if tonumber(record[1] or 0) > tonumber(ARGV[2]) then
  return 'superseded'
end
if record[2] == 'cancelled' then
  return 'cancelled'
end
if ARGV[7] ~= '' then
  -- Its tasks may even have finished since.
  local epoch, batch = string.match(record[4] or '', '^(%d+):(%d+)$')
  local last = epoch == ARGV[2] and tonumber(batch) or 0
  if last >= tonumber(ARGV[7]) then
    return 'repeated'
  end
  if record[1] then -- it is not if Redis has lost its data
    if last + 1 < tonumber(ARGV[7]) then
      return 'incomplete'
    end
    redis.call('HSET', run, 'dispatched', ARGV[2] .. ':' .. ARGV[7], 'step', ARGV[9])
  end
end

--@use clock
--@use forget
--@use unqueue
--@use begin
--@use serves
--@use hand
local text = stamp()
local answers, jobs = {}, {}
local give, note_given = hand(queue, record[5], record[6], ARGV[8])
for i = 10, #ARGV, 7 do
  local task, attempt, job, lost = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local put
  if lost == '' then
    put = redis.call('HSETNX', tasks, task, attempt) == 1
  else
    -- It may have finished after all, just before.
    put = tonumber(redis.call('HGET', tasks, task)) == tonumber(attempt) - 1
    if put then
      redis.call('HSET', tasks, task, attempt)
      if forget(queue, lost) then
        unqueue(queue, { lost })
      end
    end
  end
  if put then
    local route = table.concat({ run_id, task, attempt, inbox }, ' ')
    local worker = give(job, route, ARGV[i + 6])
    redis.call('HSET', key.job:format(job), 'created_at', text, 'enqueued_at', text, 'started_at', worker and text or '',
      'ended_at', '', 'last_heartbeat', worker and text or '', 'worker_name', worker or '',
      'status', worker and 'started' or 'queued', 'origin', queue,
      'description', ARGV[i + 4], 'timeout', ARGV[i + 5], 'data', ARGV[i + 6], 'result_ttl', 0,
      'failure_ttl', ARGV[4], 'fleetgraph', route)
    if not worker then
      table.insert(jobs, job)
    end
  end
  table.insert(answers, put and 1 or 0)
end
note_given()
if #jobs > 0 then
  for first = 1, #jobs, 1000 do -- Lua can't unpack more than a few thousand values at once
    redis.call('RPUSH', list, unpack(jobs, first, math.min(first + 999, #jobs)))
  end
end
redis.call('SADD', queues, list)
redis.call('EXPIRE', tasks, record[3] or ARGV[3])
return answers
