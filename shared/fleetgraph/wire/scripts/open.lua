-- Puts a run on record, as one of a coordinator's; and into the line of its thread.
--
-- KEYS[1] run      hash        status, epoch, coordinator, created, …
-- KEYS[2] owned    set         the coordinator's runs
-- KEYS[3] runs     sorted set  run → when it was created
-- KEYS[4] journal  list        begins with the order
-- further ones: the thread's list, the records of the runs in it
--
-- ARGV[1] run id
-- ARGV[2] coordinator id
-- ARGV[3] retention (seconds)
-- ARGV[4] key of the thread's list; '' if runs of a thread may run side by side
-- ARGV[5] 1 to refuse it while another run of the thread goes on
-- ARGV[6] seconds after which runs are given up, if no coordinator comes back
-- ARGV[7] the order; '' if the run ends with its coordinator
-- ARGV[8…] field, value, … of the record
--
-- Answers {'known', run, …} if it is on record already, {'opened'}, {'waiting', run, …} or {'refused', run, …}: the runs of
-- its thread that go on before it.
local id, retention, thread = ARGV[1], ARGV[3], ARGV[4]
local known = redis.call('HEXISTS', KEYS[1], 'status') == 1
local before = {}
if thread ~= '' then
  for _, run in ipairs(redis.call('LRANGE', thread, 0, -1)) do
    if run == id then
      break
    end
    local record = redis.call('HMGET', key.run:format(run), 'status', 'ended')
    if record[1] and not record[2] then
      table.insert(before, run)
    else
      redis.call('LREM', thread, 0, run)
    end
  end
end
if known then
  return { 'known', unpack(before) }
end
if #before > 0 and ARGV[5] == '1' then
  return { 'refused', unpack(before) }
end
--@use clock
if thread ~= '' then
  redis.call('RPUSH', thread, id)
  redis.call('EXPIRE', thread, retention)
end

redis.call('HSET', KEYS[1], 'status', 'pending', 'epoch', 1, 'coordinator', ARGV[2], 'retention', retention, 'created',
  seconds(now()), unpack(ARGV, 8))
redis.call('EXPIRE', KEYS[1], retention)
redis.call('SADD', KEYS[2], id)
redis.call('EXPIRE', KEYS[2], ARGV[6])
redis.call('ZADD', KEYS[3], seconds(now()), id)
-- Coordinators remove those that have expired; this is for when there is none any more.
local lasting = retention + ARGV[6]
if redis.call('TTL', KEYS[3]) < lasting then
  redis.call('EXPIRE', KEYS[3], lasting)
end
if ARGV[7] ~= '' then
  redis.call('RPUSH', KEYS[4], ARGV[7])
  redis.call('EXPIRE', KEYS[4], retention)
end
return { #before > 0 and 'waiting' or 'opened', unpack(before) }
