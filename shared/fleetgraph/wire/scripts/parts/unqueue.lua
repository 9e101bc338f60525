-- unqueue(): takes jobs out of a queue, and out of the hands of a worker that just popped them.
-- A long queue is gone through once, not once for each job.
local function unqueue(queue, jobs)
  if #jobs == 0 then
    return
  end
  local list, popped = key.queue:format(queue), key.intermediate:format(queue)
  for _, job in ipairs(jobs) do
    redis.call('LREM', popped, 1, job)
  end
  if #jobs <= 4 then
    for _, job in ipairs(jobs) do
      redis.call('LREM', list, 1, job)
    end
    return
  end
  local gone = {}
  for _, job in ipairs(jobs) do
    gone[job] = true
  end
  local kept = {}
  for _, job in ipairs(redis.call('LRANGE', list, 0, -1)) do
    if not gone[job] then
      table.insert(kept, job)
    end
  end
  redis.call('DEL', list)
  for first = 1, #kept, 1000 do -- Lua can't unpack more than a few thousand values at once
    redis.call('RPUSH', list, unpack(kept, first, math.min(first + 999, #kept)))
  end
end
