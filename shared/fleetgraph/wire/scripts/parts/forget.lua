-- forget(): deletes every trace of a job, whatever became of it, except its entry in the queue.
-- Answers whether the entry is still there: whether the job was waiting.
local function forget(queue, job)
  local record = redis.call('HMGET', key.job:format(job), 'status', 'worker_name')
  for _, execution in ipairs(redis.call('ZRANGE', key.executions:format(job), 0, -1)) do
    local member = job .. ':' .. execution
    redis.call('DEL', key.execution:format(job, execution))
    redis.call('ZREM', key.started:format(queue), member)
    if record[2] then
      redis.call('SREM', key.worker_executions:format(record[2]), member)
    end
  end
  redis.call('DEL', key.job:format(job), key.executions:format(job), key.results:format(job))
  redis.call('ZREM', key.leases:format(queue), job)
  redis.call('ZREM', key.failed:format(queue), job)
  return record[1] == 'queued'
end
