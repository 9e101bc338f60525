-- renew(): puts off the expiry of a run's keys. Answers whether the run is still there.
local function renew(run, default)
  local record = key.run:format(run)
  local retention = redis.call('HGET', record, 'retention') or default
  redis.call('EXPIRE', key.log:format(run), retention)
  redis.call('EXPIRE', key.seen:format(run), retention)
  redis.call('EXPIRE', key.tasks:format(run), retention)
  redis.call('EXPIRE', key.sent:format(run), retention)
  return redis.call('EXPIRE', record, retention)
end
