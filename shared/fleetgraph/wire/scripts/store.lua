-- Stores large values of a run, ahead of the tasks that need them, and removes those that none needs any more.
--
-- KEYS[1] run     hash  epoch, status, retention, dispatched
-- KEYS[2] values  hash  `<epoch>-<number>`, with a suffix for what it has grown by → encoded value
--
-- ARGV[1] epoch
-- ARGV[2] retention (seconds), for a run that does not say
-- ARGV[3] number of this batch in the epoch: counts with the batches of tasks
-- ARGV[4] 1 to remove all that was stored in other epochs
-- ARGV[5] number of fields to be removed
-- ARGV[6…] those; then field, value, … to be stored
--
-- Answers 'stored'; or 'superseded', 'cancelled', 'repeated', or 'incomplete' if the batch before it has not arrived.
local run, values = KEYS[1], KEYS[2]
local record = redis.call('HMGET', run, 'epoch', 'status', 'retention', 'dispatched')
if tonumber(record[1] or 0) > tonumber(ARGV[1]) then
  return 'superseded'
end
if record[2] == 'cancelled' then
  return 'cancelled'
end
local epoch, batch = string.match(record[4] or '', '^(%d+):(%d+)$')
local last = epoch == ARGV[1] and tonumber(batch) or 0
if last >= tonumber(ARGV[3]) then
  return 'repeated'
end
if record[1] and last + 1 < tonumber(ARGV[3]) then -- there is no record if Redis has lost its data
  return 'incomplete'
end

local first = 6 + tonumber(ARGV[5])
-- Lua can't unpack more than a few thousand values at once.
for at = first, #ARGV, 1000 do
  redis.call('HSET', values, unpack(ARGV, at, math.min(at + 999, #ARGV)))
end
for at = 6, first - 1, 1000 do
  redis.call('HDEL', values, unpack(ARGV, at, math.min(at + 999, first - 1)))
end
if ARGV[4] == '1' then
  for _, field in ipairs(redis.call('HKEYS', values)) do
    if string.match(field, '^(%d+)-') ~= ARGV[1] then
      redis.call('HDEL', values, field)
    end
  end
end
redis.call('EXPIRE', values, record[3] or ARGV[2])
if record[1] then
  redis.call('HSET', run, 'dispatched', ARGV[1] .. ':' .. ARGV[3])
end
return 'stored'
