-- Cancels a run: none of its tasks will start, and nobody waits for those that run.
--
-- KEYS[1] run    hash  status, retention
-- KEYS[2] tasks  hash  task → current attempt
-- further ones: those of the jobs
--
-- ARGV[1] queue name
-- ARGV[2] run id
-- ARGV[3] retention (seconds), for a run that does not say
--
-- Answers the number of tasks that were outstanding; -1 if the run is over, or not known.
local record = redis.call('HMGET', KEYS[1], 'status', 'retention')
if record[1] ~= 'pending' and record[1] ~= 'running' then
  return -1
end

--@use forget
--@use unqueue
local outstanding = redis.call('HGETALL', KEYS[2])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'status', 'cancelled')
redis.call('EXPIRE', KEYS[1], record[2] or ARGV[3])
local waiting = {}
for i = 1, #outstanding, 2 do
  local job = table.concat({ ARGV[2], outstanding[i], outstanding[i + 1] }, '-')
  if forget(ARGV[1], job) then
    table.insert(waiting, job)
  end
end
unqueue(ARGV[1], waiting)
return #outstanding / 2
