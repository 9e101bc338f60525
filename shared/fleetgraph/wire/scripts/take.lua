-- Takes over runs of a coordinator that shows no sign of life.
--
-- KEYS[1] coordinators        sorted set  coordinator → end of lease
-- KEYS[2] its owned           set         the runs it held
-- KEYS[3] owned               set         those of the one that takes over
-- KEYS[4] its inbox           list
-- KEYS[5] inbox               list
-- KEYS[6] its calls           list
-- KEYS[7] calls               list
-- KEYS[8] its coordinator     hash
-- further ones: the runs' records
--
-- ARGV[1] its id
-- ARGV[2] id of the one that takes over
-- ARGV[3] how many at most
-- ARGV[4] inbox ttl (seconds)
-- ARGV[5] 1 to take over its clients' calls as well
-- ARGV[6] retention (seconds), for a run that does not say
-- ARGV[7…] graph name, fingerprint, …: the graphs whose runs can be gone on with; others are only taken to be cancelled
--
-- Answers the ids of all runs that the one that takes over holds: the answer may get lost, and those that it tells of with it.
--@use clock
--@use renew
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ends and tonumber(ends) > now() then
  return redis.call('SMEMBERS', KEYS[3])
end

local function move(from, to)
  local messages = redis.call('LRANGE', from, 0, -1)
  for first = 1, #messages, 1000 do -- Lua can't unpack more than a few thousand values at once
    redis.call('RPUSH', to, unpack(messages, first, math.min(first + 999, #messages)))
  end
  if #messages > 0 then
    redis.call('EXPIRE', to, ARGV[4])
  end
end

local has = {}
for i = 7, #ARGV, 2 do
  has[ARGV[i] .. ' ' .. ARGV[i + 1]] = true
end
local taken = 0
for _, run in ipairs(redis.call('SRANDMEMBER', KEYS[2], ARGV[3])) do
  local name = key.run:format(run)
  local record = redis.call('HMGET', name, 'coordinator', 'ended', 'survives', 'graph', 'fingerprint')
  if record[1] ~= ARGV[1] or record[2] then
    redis.call('SREM', KEYS[2], run)
  elseif record[3] ~= '1' or has[(record[4] or '') .. ' ' .. (record[5] or '')] then
    redis.call('HSET', name, 'coordinator', ARGV[2])
    redis.call('SMOVE', KEYS[2], KEYS[3], run)
    redis.call('HINCRBY', name, 'epoch', 1)
    renew(run, ARGV[6])
    taken = taken + 1
  end
end
if taken > 0 then
  redis.call('EXPIRE', KEYS[3], ARGV[4])
  -- All of it, since whose messages they are can't be told here; those of other runs are thrown away over there.
  move(KEYS[4], KEYS[5])
  redis.call('HDEL', KEYS[8], 'term') -- should it wake up: what it has read there is no longer the head of the list
end
if ARGV[5] == '1' then
  move(KEYS[6], KEYS[7])
  redis.call('DEL', KEYS[6])
end
if redis.call('EXISTS', KEYS[2]) == 0 and redis.call('EXISTS', KEYS[6]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('DEL', KEYS[4], KEYS[8])
end
return redis.call('SMEMBERS', KEYS[3])
