-- Reads an item.
--
-- KEYS[1] the store's prefix
-- ARGV[1] id, ARGV[2] whether its time to live begins anew ('1')
--
-- Answers value, created, updated; or nil.
--@use index
local item = redis.call('HMGET', item_key(ARGV[1]), 'v', 'c', 'u', 't')
if not item[1] then
  return false
end
if ARGV[2] == '1' then
  begin_anew(ARGV[1], item[4])
end
return { item[1], item[2], item[3] }
