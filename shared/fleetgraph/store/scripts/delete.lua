-- Deletes an item, if there is one.
--
-- KEYS[1] the store's prefix
-- ARGV[1] id
--@use index
forget(ARGV[1])
