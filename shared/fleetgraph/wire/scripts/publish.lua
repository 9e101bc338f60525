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
-- Answers the run's last seq, or 'superseded'.
local run, log, seen, tasks, sent = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local task, fence = ARGV[2], ARGV[3]

local record = redis.call('HMGET', run, 'epoch', 'seq', 'retention', 'log_events')
if task ~= '' then
  if redis.call('HGET', tasks, task) ~= fence then
    return 'superseded'
  end
elseif tonumber(record[1] or 0) > tonumber(fence) then
  return 'superseded'
end
local seq = tonumber(record[2] or 0)
local retention = record[3] or ARGV[6]
local cap = record[4] or ARGV[7]

local start = tonumber(ARGV[5])
if start and tonumber(redis.call('HGET', sent, ARGV[4]) or 0) > start then
  return seq
end

local blobs, count, marked = {}, 0, false
for i = 8, #ARGV, 4 do
  local events, mark, message = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  local fresh = true
  if mark ~= '' then
    marked = true
    fresh = redis.call('SADD', seen, message) == 1
  end
  if events > 0 and (fresh or mark ~= 'skip') then
    table.insert(blobs, ARGV[i + 3])
    count = count + events
  end
end

if start then
  redis.call('HSET', sent, ARGV[4], start + (#ARGV - 7) / 4)
  redis.call('EXPIRE', sent, retention)
end
if marked then
  redis.call('EXPIRE', seen, retention)
end
if count > 0 then
  seq = redis.call('HINCRBY', run, 'seq', count)

  -- msgpack: an array of two, the seq as uint64 (big-endian), an array of the events
  local digits, rest = {}, seq
  for i = 8, 1, -1 do
    digits[i] = string.char(rest % 256)
    rest = math.floor(rest / 256)
  end
  local header
  if count < 16 then
    header = string.char(0x90 + count)
  elseif count < 65536 then
    header = '\220' .. string.char(math.floor(count / 256), count % 256)
  else
    header = '\221' .. string.char(
      math.floor(count / 16777216), math.floor(count / 65536) % 256, math.floor(count / 256) % 256, count % 256)
  end
  local message = '\146\207' .. table.concat(digits) .. header .. table.concat(blobs)

  redis.call('XADD', log, 'MAXLEN', '~', cap, string.format('%.0f-0', seq), 'm', message)
  redis.call('PUBLISH', ARGV[1], message)
  redis.call('EXPIRE', log, retention)
  redis.call('EXPIRE', run, retention)
end
return seq
