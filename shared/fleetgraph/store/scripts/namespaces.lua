-- Lists the namespaces that have items.
--
-- KEYS[1] the store's prefix
-- ARGV[1] the namespace at or below which they are
-- ARGV[2] how many expired items to clear away first
--
-- Answers the namespaces; or nil if more than those have expired: then call it again.
--@use index
if sweep(tonumber(ARGV[2])) then
  return false
end
return redis.call('ZRANGE', under_key(ARGV[1]), 0, -1)
