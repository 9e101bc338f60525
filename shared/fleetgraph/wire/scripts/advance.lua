-- Takes messages that were handled out of a coordinator's inbox, and notes what its runs were told. Sending it again is
-- harmless.
--
-- KEYS[1] inbox        list  messages, oldest first
-- KEYS[2] coordinator  hash  handled: the last batch; term
-- further ones: the runs' records and journals
--
-- ARGV[1] number of this batch
-- ARGV[2] inbox ttl (seconds); that of the last batch's number must not be shorter
-- ARGV[3] retention (seconds), for a run that does not say
-- ARGV[4] coordinator id
-- ARGV[5] its term, when it read them
-- ARGV[6] 1 if something is saved in the same round trip: then it is refused, like that, when memory is full
-- ARGV[7…] three for each thing that was told: run id, or '' if it is not to be noted; epoch, 0 for a run that the
--          coordinator holds but does not know yet; what, or '' for the next message of the inbox
--
-- Answers 1; 0 if it took place before; 'superseded' if another has taken over the inbox since it was read.
if ARGV[6] ~= '1' then
  redis.call('EXPIRE', KEYS[1], ARGV[2]) -- a first write: Redis lets a script that has written go on when memory is full
end
if redis.call('HGET', KEYS[2], 'term') ~= ARGV[5] then
  return 'superseded'
end
if tonumber(redis.call('HGET', KEYS[2], 'handled') or 0) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[2], 'handled', ARGV[1])
if ARGV[6] == '1' then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
redis.call('EXPIRE', KEYS[2], ARGV[2])
for i = 7, #ARGV, 3 do
  local run, what = ARGV[i], ARGV[i + 2]
  if what == '' then
    what = redis.call('LPOP', KEYS[1])
  end
  if run ~= '' and what then
    local record = redis.call('HMGET', key.run:format(run), 'epoch', 'retention', 'coordinator', 'survives', 'ended')
    local unknown = ARGV[i + 1] == '0' and record[3] == ARGV[4] and record[4] == '1' and not record[5]
    if record[1] == ARGV[i + 1] and not record[5] or unknown then
      redis.call('RPUSH', key.journal:format(run), what)
      redis.call('EXPIRE', key.journal:format(run), record[2] or ARGV[3])
    end
  end
end
return 1
