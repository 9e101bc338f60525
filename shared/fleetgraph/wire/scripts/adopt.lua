-- Tells a worker what it holds according to Redis: what it claimed while the answer got lost.
--
-- KEYS[1] rq worker executions   set    `<job>:<execution>`
-- further ones: rq job
--
-- Answers like claim.
local held = {}
for _, member in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local job = string.match(member, '^[^:]+')
  local record = redis.call('HMGET', key.job:format(job), 'fleetgraph', 'data')
  if record[2] then
    table.insert(held, job)
    table.insert(held, record[1] or '')
    table.insert(held, record[2])
  end
end
return held
