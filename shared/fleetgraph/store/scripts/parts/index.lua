-- The keys of a store, and the index of its items. All of them begin with the prefix, and a colon.
--
-- item:<id>   hash        an item: v value, c created, u updated (microseconds since 1970), t time to live
--                         (milliseconds; '' for ever), e embeddings ('' if it has none). Expires by itself after t.
-- keys:<ns>   sorted set  key → number: the items of a namespace in the order in which they were stored
-- under:<ns>  sorted set  namespace → number: those at or below one, in the order in which they came into use
-- expiring    sorted set  id → when the item expires (milliseconds): for tidying the index up after it has
-- number      string      the last number that was given out
--
-- A namespace `ns` is its labels with a period between any two; an id is `<ns>..<key>`: no label has a period.
-- What the index knows and is no longer there was expired, or evicted, and is cleared away when it is met.
local prefix = KEYS[1] .. ':'

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Lua itself would write 1.7e+12.
local function digits(number)
  return string.format('%.0f', number)
end

local function item_key(id)
  return prefix .. 'item:' .. id
end

local function keys_key(ns)
  return prefix .. 'keys:' .. ns
end

local function under_key(ns)
  return prefix .. 'under:' .. ns
end

local expiring_key = prefix .. 'expiring'

local function next_number()
  return redis.call('INCR', prefix .. 'number')
end

local function split(id)
  local dots = string.find(id, '..', 1, true)
  return string.sub(id, 1, dots - 1), string.sub(id, dots + 2)
end

-- The namespaces that one is at or below: '', 'a', 'a.b' for 'a.b'.
local function above(ns)
  local found = { '' }
  if ns ~= '' then
    local dot = string.find(ns, '.', 1, true)
    while dot do
      table.insert(found, string.sub(ns, 1, dot - 1))
      dot = string.find(ns, '.', dot + 1, true)
    end
    table.insert(found, ns)
  end
  return found
end

-- Adds an item to the index, as the newest.
local function list(id)
  local ns, key = split(id)
  if not redis.call('ZSCORE', under_key(ns), ns) then
    local number = next_number()
    for _, ancestor in ipairs(above(ns)) do
      redis.call('ZADD', under_key(ancestor), number, ns)
    end
  end
  redis.call('ZADD', keys_key(ns), next_number(), key)
end

-- Clears an item away from the index.
local function unlist(id)
  local ns, key = split(id)
  redis.call('ZREM', expiring_key, id)
  redis.call('ZREM', keys_key(ns), key)
  if redis.call('EXISTS', keys_key(ns)) == 0 then
    for _, ancestor in ipairs(above(ns)) do
      redis.call('ZREM', under_key(ancestor), ns)
    end
  end
end

local function forget(id)
  redis.call('UNLINK', item_key(id))
  unlist(id)
end

-- Lets an item's time to live begin anew.
local function begin_anew(id, ttl)
  if ttl and ttl ~= '' then
    local at = digits(now + ttl)
    redis.call('PEXPIREAT', item_key(id), at)
    redis.call('ZADD', expiring_key, at, id)
  end
end

-- Clears away up to `limit` items that have expired. Answers whether there may be more.
local function sweep(limit)
  local due = redis.call('ZRANGEBYSCORE', expiring_key, '-inf', '(' .. digits(now), 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    forget(id)
  end
  return #due == limit
end
