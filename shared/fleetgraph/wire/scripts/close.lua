-- Ends a run: its readers are told how, its outstanding tasks are called off, the next run of its thread begins, and
-- what only a run that goes on needs is deleted. Doing it again is harmless.
--
-- KEYS[1] run      hash    status, ended, error, epoch, seq, …
-- KEYS[2] log      stream  entry `<seq of its last event>-0`, field m: the message as published
-- KEYS[3] seen     set     ids of messages the run knows
-- KEYS[4] tasks    hash    task → current attempt
-- KEYS[5] sent     hash    sender → number of its items that arrived
-- KEYS[6] journal  list    what the run was told
-- KEYS[7] owned    set     the coordinator's runs
-- further ones: the values, those of the jobs, the thread's list, the next run's record and its coordinator's inbox
--
-- ARGV[1] channel to publish on
-- ARGV[2] run id
-- ARGV[3] epoch
-- ARGV[4] status
-- ARGV[5] what it failed with, as text; '' if it did not
-- ARGV[6] queue name
-- ARGV[7] inbox ttl (seconds)
-- ARGV[8] retention (seconds), ARGV[9] log cap (messages): for a run that does not say
-- ARGV[10] number of items of events that the run's coordinators sent before; '' if that does not matter
-- ARGV[11…] the last events, four for each item: see publish
--
-- Answers the run's last seq; 'superseded'; 'cancelled' if it was to end otherwise; 'repeated'; or 'incomplete' if not
-- all events before have arrived.
local run, owned, id = KEYS[1], KEYS[7], ARGV[2]
local record = redis.call(
  'HMGET', run, 'epoch', 'seq', 'retention', 'log_events', 'status', 'ended', 'graph', 'thread')
if tonumber(record[1] or 0) > tonumber(ARGV[3]) then
  return 'superseded'
end
if record[6] then
  return 'repeated'
end
local before = tonumber(ARGV[10])
if before and record[1] and tonumber(redis.call('HGET', KEYS[5], 'coordinator') or 0) < before then
  return 'incomplete'
end
if record[5] == 'cancelled' and ARGV[4] ~= 'cancelled' then
  return 'cancelled'
end

--@use clock
--@use forget
--@use unqueue
--@use call_off
--@use append
-- First what a Redis without memory refuses, as it refuses the events before: the last ones must not overtake those.
redis.call('HSET', run, 'status', ARGV[4], 'ended', seconds(now()))
redis.call('SREM', owned, id)
call_off(ARGV[6], id, KEYS[4])
if ARGV[5] ~= '' then
  redis.call('HSET', run, 'error', ARGV[5])
end
local seq = append({
  run = run, log = KEYS[2], seen = KEYS[3], channel = ARGV[1], seq = tonumber(record[2] or 0),
  retention = record[3] or ARGV[8], cap = record[4] or ARGV[9],
}, 11)
redis.call('DEL', KEYS[3], KEYS[5], KEYS[6])
redis.call('DEL', key.values:format(id))

if record[8] then
  local thread = key.thread:format(record[7], record[8])
  redis.call('LREM', thread, 0, id)
  local following = redis.call('LINDEX', thread, 0)
  while following do
    local next = redis.call('HMGET', key.run:format(following), 'status', 'ended', 'coordinator')
    if next[1] and not next[2] then
      local inbox = key.inbox:format(next[3])
      redis.call('RPUSH', inbox, '!begin ' .. following)
      redis.call('EXPIRE', inbox, ARGV[7])
      break
    end
    redis.call('LPOP', thread)
    following = redis.call('LINDEX', thread, 0)
  end
end
return seq
