-- draw(): takes jobs out of a queue that are of graphs the worker has, and leaves the others there, in their order.
-- Needs serves.
--
-- queue    name
-- graphs   `<fingerprint> <name>` of each graph the worker has, one a line; '' if it takes whatever comes
-- room     how many to take at most
--
-- Answers the jobs' ids; and of those that it has read, by id: status, route, data.
local function draw(queue, graphs, room)
  local list = key.queue:format(queue)
  local known = {}

  local function has(run)
    local record = redis.call('HMGET', key.run:format(run), 'fingerprint', 'graph')
    return serves(graphs, record[1], record[2])
  end

  local function fits(route)
    local run = graphs ~= '' and route and string.match(route, '^%S+')
    if not run then
      return true
    end
    if known[run] == nil then
      known[run] = has(run)
    end
    return known[run]
  end

  local ids, left, records = {}, {}, {}
  for _, job in ipairs(room > 0 and redis.call('LPOP', list, room) or {}) do
    records[job] = redis.call('HMGET', key.job:format(job), 'status', 'fleetgraph', 'data')
    table.insert(fits(records[job][2]) and ids or left, job)
  end
  if #left == 0 then
    return ids, records
  end

  for i = #left, 1, -1 do
    redis.call('LPUSH', list, left[i])
  end
  -- Those behind them may fit. More than so many are not looked at in one go; they have their turn later.
  local looked = redis.call('LRANGE', list, #left, #left + 199)
  for _, job in ipairs(looked) do
    if #ids >= room then
      break
    end
    if fits(redis.call('HGET', key.job:format(job), 'fleetgraph')) then
      redis.call('LREM', list, 1, job)
      table.insert(ids, job)
    end
  end
  if #ids == 0 and #looked == 200 then
    for _ = 1, #left + #looked do
      redis.call('LMOVE', list, list, 'LEFT', 'RIGHT')
    end
  end
  return ids, records
end
