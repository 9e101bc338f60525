-- Forget checkpoints of a thread, what was written beside them, and values that no other checkpoint has.
--
-- KEYS as in load.lua
-- ARGV members

local CHUNK = 1000 -- arguments of one command: Lua's stack has no room for more than some thousands

local function drop(key, fields)
    for first = 1, #fields, CHUNK do
        redis.call('HDEL', key, unpack(fields, first, math.min(first + CHUNK - 1, #fields)))
    end
end

for _, member in ipairs(ARGV) do
    redis.call('ZREM', KEYS[1], member)
    redis.call('HDEL', KEYS[2], member, member .. '\0metadata', member .. '\0values')
    local from, to = '[' .. member .. '\0', '(' .. member .. '\1'
    drop(KEYS[5], redis.call('ZRANGEBYLEX', KEYS[4], from, to))
    redis.call('ZREMRANGEBYLEX', KEYS[4], from, to)
end

local used = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local ns = string.sub(member, 1, string.find(member, '\0', 1, true))
    local names, at = redis.call('HGET', KEYS[2], member .. '\0values') or '', 1
    while at <= #names do
        local colon = string.find(names, ':', at, true)
        local last = colon + tonumber(string.sub(names, at, colon - 1))
        used[ns .. string.sub(names, colon + 1, last)] = true
        at = last + 1
    end
end

local unused = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    if not used[field] then
        unused[#unused + 1] = field
    end
end
drop(KEYS[3], unused)
return #unused
