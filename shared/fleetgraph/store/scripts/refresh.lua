-- Lets the time to live of items begin anew.
--
-- KEYS[1] the store's prefix
-- ARGV    ids
--@use index
for _, id in ipairs(ARGV) do
  begin_anew(id, redis.call('HGET', item_key(id), 't'))
end
