-- Reads a page of the items at or below a namespace, in the order of the index.
--
-- KEYS[1] the store's prefix
-- ARGV[1] the namespace
-- ARGV[2] number of the namespace to go on in ('-inf' for the first), ARGV[3] number of the last item seen there
-- ARGV[4] how many to pass over, ARGV[5] how many to read
-- ARGV[6] how many to look at, ARGV[7] after how many bytes of values to stop
-- ARGV[8] whether the time to live of those read begins anew ('1')
--
-- Answers: whether there may be more (1, 0); the numbers to go on with; how many are still to be passed over; and for
-- each item id, value, created, updated, embeddings.
--@use index
local top, start, after = ARGV[1], ARGV[2], ARGV[3]
local skip, take, looks, bytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local PAGE = 100 -- of an index, read at once

local found = {}
local from = start
while true do
  local spaces = redis.call('ZRANGEBYSCORE', under_key(top), from, '+inf', 'WITHSCORES', 'LIMIT', 0, PAGE)
  if #spaces == 0 then
    return { 0, '', '', 0, found }
  end
  for s = 1, #spaces, 2 do
    local ns, space = spaces[s], spaces[s + 1]
    local lower = space == start and '(' .. after or '-inf'
    local page
    repeat
      page = redis.call('ZRANGEBYSCORE', keys_key(ns), lower, '+inf', 'WITHSCORES', 'LIMIT', 0, math.min(PAGE, looks))
      for k = 1, #page, 2 do
        local id, number = ns .. '..' .. page[k], page[k + 1]
        local item = item_key(id)
        looks = looks - 1
        if skip > 0 then
          if redis.call('EXISTS', item) == 1 then
            skip = skip - 1
          else
            forget(id)
          end
        else
          local fields = redis.call('HMGET', item, 'v', 'c', 'u', 'e', 't')
          if not fields[1] then
            forget(id)
          else
            if ARGV[8] == '1' then
              begin_anew(id, fields[5])
            end
            table.insert(found, { id, fields[1], fields[2], fields[3], fields[4] })
            take = take - 1
            bytes = bytes - #fields[1] - #fields[4]
          end
        end
        if take <= 0 or looks <= 0 or bytes <= 0 then
          return { 1, space, number, skip, found }
        end
        lower = '(' .. number
      end
    until #page < 2 * PAGE -- one that was cut shorter ends above, as nothing is to be looked at any more
    from = '(' .. space
  end
end
