-- Appends events to a run's log and publishes them, as one message; numbers them. Sending a batch again is harmless.
--
-- KEYS[1] run    hash    seq, epoch, retention, log_events
-- KEYS[2] log    stream  entry `<seq of its last event>-0`, field m: the message as published
-- KEYS[3] seen   set     ids of messages the run knows
-- KEYS[4] tasks  hash    task → current attempt
-- KEYS[5] sent   hash    sender → number of its items that arrived
--
-- ARGV[1] channel to publish on
-- ARGV[2] task id, or '' if the coordinator sends
-- ARGV[3] the task's attempt, or the coordinator's epoch
-- ARGV[4] sender
-- ARGV[5] number of items it sent before these; '' if it never sends anything again
-- ARGV[6] retention (seconds), ARGV[7] log cap (messages): for a run that does not say
-- ARGV[8…] four for each item: number of events, '' | 'add' | 'skip', message id, the events
--
-- Answers the run's last seq; 'superseded'; or 'incomplete' if not all that the sender sent before has arrived.
local run, log, seen, tasks, sent = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local task, fence = ARGV[2], ARGV[3]

local record = redis.call('HMGET', run, 'epoch', 'seq', 'retention', 'log_events', 'ended')
if task ~= '' then
  if redis.call('HGET', tasks, task) ~= fence then
    return 'superseded'
  end
elseif tonumber(record[1] or 0) > tonumber(fence) then
  return 'superseded'
end
local seq = tonumber(record[2] or 0)
local retention = record[3] or ARGV[6]

local start = tonumber(ARGV[5])
if start then
  local arrived = tonumber(redis.call('HGET', sent, ARGV[4]) or 0)
  if arrived > start or record[5] then
    return seq
  end
  if arrived < start and record[1] then
    return 'incomplete'
  end
end

--@use append
seq = append({
  run = run, log = log, seen = seen, channel = ARGV[1], seq = seq, retention = retention, cap = record[4] or ARGV[7],
}, 8)
if start then
  redis.call('HSET', sent, ARGV[4], start + (#ARGV - 7) / 4)
  redis.call('EXPIRE', sent, retention)
end
return seq
