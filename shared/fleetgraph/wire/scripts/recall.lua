-- Tells what Redis has of a run that goes on: all that another coordinator needs to go on with it.
--
-- KEYS[1] run      hash  coordinator, epoch, status, survives, graph, thread, on_disconnect, …
-- KEYS[2] tasks    hash  task → current attempt
-- KEYS[3] sent     hash  sender → number of its items that arrived
-- KEYS[4] journal  list  what the run was told
-- further ones: the thread's list
--
-- ARGV[1] run id
-- ARGV[2] coordinator id
--
-- Answers nothing if the run is over, or not this coordinator's; else {epoch, survives or '', 1 if it waits for another
-- run of its thread, status, queue, items that its coordinators have sent, {task, attempt, …}, {what it was told, …},
-- on_disconnect or ''}.
local record = redis.call(
  'HMGET', KEYS[1], 'coordinator', 'ended', 'epoch', 'survives', 'graph', 'thread', 'queue', 'status', 'on_disconnect')
if record[1] ~= ARGV[2] or record[2] then
  return nil
end
local waits = 0
if record[6] then
  local thread = key.thread:format(record[5], record[6])
  local first = redis.call('LINDEX', thread, 0)
  while first and redis.call('EXISTS', key.run:format(first)) == 0 do -- it has expired without an end
    redis.call('LPOP', thread)
    first = redis.call('LINDEX', thread, 0)
  end
  waits = first and first ~= ARGV[1] and 1 or 0
end
return {
  tonumber(record[3] or 0), record[4] or '', waits, record[8] or '', record[7] or '',
  tonumber(redis.call('HGET', KEYS[3], 'coordinator') or 0), redis.call('HGETALL', KEYS[2]),
  redis.call('LRANGE', KEYS[4], 0, -1), record[9] or '',
}
