-- Ends an attempt of a task: its outcome goes to the coordinator, unless the attempt is no longer the current one;
-- RQ's records are settled; the worker gets its next tasks.
--
-- KEYS[1] tasks                 hash        task → current attempt
-- KEYS[2] run                   hash        coordinator
-- KEYS[3] sent                  hash        sender → number of its items that arrived
-- KEYS[4] leases                sorted set  job id → end of lease
-- KEYS[5] rq queue              list        ids of waiting jobs
-- KEYS[6] rq job                hash
-- KEYS[7] rq started            sorted set  `<job>:<execution>` → when it may be taken for dead
-- KEYS[8] rq failed             sorted set  job id → when its record expires
-- KEYS[9] rq worker             hash        state
-- KEYS[10] rq worker executions set         `<job>:<execution>`
-- KEYS[11] waiting              sorted set  worker → since when it waits for tasks
-- further ones: inbox, rq execution, rq executions, rq results, and those of claim
--
-- ARGV[1] queue name           ARGV[2] worker name
-- ARGV[3] job id               ARGV[4] task id, '' if nobody waits for an outcome
-- ARGV[5] attempt              ARGV[6] inbox (coordinator id) of a run that does not say
-- ARGV[7] outcome              ARGV[8] inbox ttl (seconds)
-- ARGV[9] sender of events, '' if it sent nothing
-- ARGV[10] number of items it sent, '' if that does not matter
-- ARGV[11] 1 to settle RQ's records, 0 if RQ does
-- ARGV[12] the failure as RQ stores it (base64 of the zlib-compressed traceback), '' for success
-- ARGV[13] failure_ttl (seconds)
-- ARGV[14] 1 if the worker probably runs nothing else
-- ARGV[15] lease (seconds)     ARGV[16] seconds after which RQ takes an execution for dead
-- ARGV[17] how many tasks to take from the queue
-- ARGV[18] `<fingerprint> <name>` of each graph the worker has, one a line; '' if it takes whatever comes
-- ARGV[19] how many tasks the worker can have at once; '' if it is not to be given any that it does not come for
-- ARGV[20] seconds after which a worker that does not come again waits no more
--
-- Answers {1 if the outcome was accepted, the next tasks as claim answers them}; or 'incomplete' if not all that the
-- sender sent has arrived: then nothing was done.
local tasks, sent, record, started, failed, executions = KEYS[1], KEYS[3], KEYS[6], KEYS[7], KEYS[8], KEYS[10]
local queue, worker, job, task, sender = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[9]
local settle, failure, failure_ttl = ARGV[11] == '1', ARGV[12], ARGV[13]

--@use clock
--@use serves
--@use draw
--@use begin
--@use claim
local accepted = 0
if task ~= '' and redis.call('HGET', tasks, task) == ARGV[5] then
  if ARGV[10] ~= '' and redis.call('HGET', sent, sender) ~= ARGV[10] then
    return 'incomplete'
  end
  accepted = 1
  -- A first write that only frees memory: Redis lets a script that has written go on when memory is full, so that
  -- tasks can finish even then.
  redis.call('HDEL', tasks, task)
  -- Another coordinator may have taken the run over since the task was dispatched.
  local inbox = key.inbox:format(redis.call('HGET', KEYS[2], 'coordinator') or ARGV[6])
  if redis.call('RPUSH', inbox, ARGV[7]) == 1 then
    redis.call('EXPIRE', inbox, ARGV[8])
  end
end
redis.call('ZREM', KEYS[4], job)
if sender ~= '' then
  redis.call('HDEL', sent, sender)
end

if settle then
  local member = job .. ':' .. job
  local execution = key.execution:format(job, job)
  if failure ~= '' and (accepted == 1 or task == '') and redis.call('EXISTS', record) == 1 then
    redis.call('HSET', record, 'status', 'failed', 'ended_at', stamp())
    redis.call('EXPIRE', record, failure_ttl)
    redis.call('XADD', key.results:format(job), 'MAXLEN', '10', '*', 'type', 2, 'worker_name', worker,
      'exc_string', failure, 'execution_id', job, 'execution_started_at',
      redis.call('HGET', execution, 'created_at') or seconds(now()), 'execution_ended_at', seconds(now()))
    redis.call('EXPIRE', key.results:format(job), failure_ttl)
    redis.call('ZREMRANGEBYSCORE', failed, '-inf', seconds(now()))
    redis.call('ZADD', failed, seconds(now() + failure_ttl), job)
    redis.call('EXPIRE', failed, failure_ttl)
    redis.call('DEL', execution, key.executions:format(job))
  else
    redis.call('DEL', execution, key.executions:format(job), record)
  end
  if redis.call('ZREM', started, member) == 0 and failure == '' then
    -- RQ's maintenance took the execution for dead meanwhile, and the job for failed.
    redis.call('ZREM', failed, job)
    redis.call('DEL', key.results:format(job))
  end
  redis.call('SREM', executions, member)
end

local claimed = {}
if tonumber(ARGV[17]) > 0 then
  claimed = claim({
    queue = queue, worker = worker, lease = ARGV[15], execution_ttl = ARGV[16], announce = false,
  }, draw(queue, ARGV[18], tonumber(ARGV[17])))
end
if ARGV[19] ~= '' and #claimed == 0 and redis.call('EXISTS', KEYS[9]) == 1 then
  redis.call('HSET', KEYS[9], 'capacity', ARGV[19])
  if redis.call('ZADD', KEYS[11], seconds(now()), worker) == 1 then
    redis.call('EXPIRE', KEYS[11], ARGV[20])
  end
end
if settle and ARGV[14] == '1' and redis.call('EXISTS', executions) == 0 then
  redis.call('HSET', KEYS[9], 'state', 'idle')
end
return { accepted, claimed }
