-- renew(): puts off the expiry of a run's keys (record, log, seen, tasks, sent, journal, values), of the line of its
-- thread, and of the runs that wait in it. Answers whether the run is still there.
local function renew(run, default)
  local name = key.run:format(run)
  local record = redis.call('HMGET', name, 'retention', 'graph', 'thread')
  local retention = record[1] or default
  redis.call('EXPIRE', key.log:format(run), retention)
  redis.call('EXPIRE', key.seen:format(run), retention)
  redis.call('EXPIRE', key.tasks:format(run), retention)
  redis.call('EXPIRE', key.sent:format(run), retention)
  redis.call('EXPIRE', key.journal:format(run), retention)
  redis.call('EXPIRE', key.values:format(run), retention)
  if record[3] then
    local thread = key.thread:format(record[2], record[3])
    redis.call('EXPIRE', thread, retention)
    for _, waiting in ipairs(redis.call('LRANGE', thread, 0, -1)) do
      redis.call('EXPIRE', key.run:format(waiting), retention)
      redis.call('EXPIRE', key.journal:format(waiting), retention)
    end
  end
  return redis.call('EXPIRE', name, retention)
end
