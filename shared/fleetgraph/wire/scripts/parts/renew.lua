-- renew(): puts off the expiry of a run's keys. Answers whether the run is still there.
local function renew(run, default)
  local name = key.run:format(run)
  local record = redis.call('HMGET', name, 'retention', 'graph', 'thread')
  local retention = record[1] or default
  redis.call('EXPIRE', key.log:format(run), retention)
  redis.call('EXPIRE', key.seen:format(run), retention)
  redis.call('EXPIRE', key.tasks:format(run), retention)
  redis.call('EXPIRE', key.sent:format(run), retention)
  redis.call('EXPIRE', key.journal:format(run), retention)
  if record[3] then
    redis.call('EXPIRE', key.thread:format(record[2], record[3]), retention)
  end
  return redis.call('EXPIRE', name, retention)
end
