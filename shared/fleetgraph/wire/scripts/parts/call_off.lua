-- call_off(): takes a run's outstanding tasks out of the queue; nobody waits any longer for those that run.
-- Needs forget and unqueue. Answers how many there were.
local function call_off(queue, run, tasks)
  local outstanding = redis.call('HGETALL', tasks)
  redis.call('DEL', tasks)
  local waiting = {}
  for i = 1, #outstanding, 2 do
    local job = table.concat({ run, outstanding[i], outstanding[i + 1] }, '-')
    if forget(queue, job) then
      table.insert(waiting, job)
    end
  end
  unqueue(queue, waiting)
  return #outstanding / 2
end
