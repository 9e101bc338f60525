-- hand(): gives new jobs to workers that wait for some, so that they need not come for them. Needs clock, begin, serves.
--
-- queue                name
-- fingerprint, name    of the jobs' graph
-- execution_ttl        seconds after which RQ takes an execution for dead
--
-- Answers two functions: give(job, route, data), which answers the worker that has it now, or nil if nobody waits; and
-- record(), which has to be called in the end.
local HANDED_BYTES = 65536 -- larger ones are fetched: Redis cuts off subscribers to whom it has to send too much at once

local function hand(queue, fingerprint, name, execution_ttl)
  local waiting, workers, given, turn = key.waiting:format(queue), {}, {}, 1
  if redis.call('EXISTS', key.suspended) == 0 then
    local found = redis.call('ZREVRANGE', waiting, 0, 99, 'WITHSCORES') -- who came last is the warmest
    for i = 1, #found, 2 do
      table.insert(workers, {
        worker = found[i], since = tonumber(found[i + 1]), queue = queue, execution_ttl = execution_ttl, jobs = {},
      })
    end
  end

  local function look(to)
    local told = redis.call('HMGET', key.worker:format(to.worker), 'capacity', 'lease', 'graphs')
    local held = redis.call('SCARD', key.worker_executions:format(to.worker))
    to.lease = tonumber(told[2] or 0)
    -- One that has not come for so long sleeps.
    to.room = to.since + to.lease > now() and tonumber(told[1] or 0) - held or 0
    to.announce = held == 0
    to.serves = serves(told[3] or '', fingerprint, name)
  end

  local function leave(to, for_good)
    if for_good then
      redis.call('ZREM', waiting, to.worker)
    end
    table.remove(workers, turn)
  end

  local function give(job, route, data)
    while #workers > 0 do
      turn = turn > #workers and 1 or turn
      local to = workers[turn]
      if not to.room then
        look(to)
      end
      if not to.serves then
        leave(to, false)
      elseif to.room <= 0 then
        leave(to, true)
      else
        -- A larger one stays in the queue; the worker is told to look there.
        local message = #data <= HANDED_BYTES and table.concat({ job, route, data }, '\n') or ''
        if redis.call('PUBLISH', key.handed:format(to.worker), message) == 0 then
          leave(to, true) -- it died
        elseif message == '' then
          leave(to, false)
          return nil
        else
          if #to.jobs == 0 then
            table.insert(given, to)
          end
          table.insert(to.jobs, job)
          to.room = to.room - 1
          if to.room == 0 then
            leave(to, true)
          else
            turn = turn + 1
          end
          return to.worker
        end
      end
    end
  end

  local function record()
    for _, to in ipairs(given) do
      begin(to, to.jobs)
    end
  end

  return give, record
end
