-- append(): adds events to a run's log and publishes them, as one message; numbers them. Answers the run's last seq.
--
-- to.run, to.log, to.seen    keys
-- to.channel                 to publish on
-- to.seq                     the run's last so far
-- to.retention, to.cap       seconds, messages
-- first                      where the items begin in ARGV: four for each, number of events, '' | 'add' | 'skip',
--                            message id, the events
local function append(to, first)
  local blobs, count, marked = {}, 0, false
  for i = first, #ARGV, 4 do
    local events, mark, message = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
    local fresh = true
    if mark ~= '' then
      marked = true
      fresh = redis.call('SADD', to.seen, message) == 1
    end
    if events > 0 and (fresh or mark ~= 'skip') then
      table.insert(blobs, ARGV[i + 3])
      count = count + events
    end
  end
  if marked then
    redis.call('EXPIRE', to.seen, to.retention)
  end
  if count == 0 then
    return to.seq
  end
  local seq = redis.call('HINCRBY', to.run, 'seq', count)

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

  redis.call('XADD', to.log, 'MAXLEN', '~', to.cap, string.format('%.0f-0', seq), 'm', message)
  redis.call('PUBLISH', to.channel, message)
  redis.call('EXPIRE', to.log, to.retention)
  redis.call('EXPIRE', to.run, to.retention)
  return seq
end
