-- draw(): takes jobs out of a queue that are of graphs the worker has, and leaves the others there, in their order.
--
-- queue    name
-- graphs   `<fingerprint> <name>` of each graph the worker has, one a line; '' if it takes whatever comes
-- popped   ids of jobs that it popped itself
-- room     how many to take from the queue at most
--
-- Answers the jobs' ids; and of those that it has read, by id: status, route, data.
local function draw(queue, graphs, popped, room)
  local list = key.queue:format(queue)
  local known = {}

  -- A file is known by another name to whoever imports it from another folder: `pkg.app:graph`, `app:graph`.
  local function is_end(short, long)
    return short == long or string.sub(long, -#short - 1) == '.' .. short
  end

  local function has(run)
    local record = redis.call('HMGET', key.run:format(run), 'fingerprint', 'graph')
    if not (record[1] and record[2]) then
      return true
    end
    for fingerprint, name in string.gmatch(graphs, '(%S+) ([^\n]+)') do
      if fingerprint == record[1] and (is_end(name, record[2]) or is_end(record[2], name)) then
        return true
      end
    end
    return false
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
  local function sort(jobs)
    for _, job in ipairs(jobs) do
      records[job] = redis.call('HMGET', key.job:format(job), 'status', 'fleetgraph', 'data')
      table.insert(fits(records[job][2]) and ids or left, job)
    end
  end
  sort(popped)
  if room > 0 then
    sort(redis.call('LPOP', list, room) or {})
  end
  if #left == 0 then
    return ids, records
  end

  for i = #left, 1, -1 do
    redis.call('LPUSH', list, left[i])
    redis.call('ZREM', key.leases:format(queue), left[i])
  end
  -- Those behind them may fit. More than so many are not looked at in one go; they have their turn later.
  local looked = redis.call('LRANGE', list, #left, #left + 199)
  for _, job in ipairs(looked) do
    if #ids >= #popped + room then
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
