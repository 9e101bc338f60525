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

-- The fields of the values that a record says there are, and which of them are lists.
local function fields_in(ns, names)
    local fields, lists, at = {}, {}, 1
    while at <= #names do
        local colon = string.find(names, ':', at, true)
        local last = colon + tonumber(string.sub(names, at, colon - 1))
        local text = string.sub(names, colon + 1, last)
        local version = string.match(text, '^%z([^%z]*)')
        if version then
            for list, channel in string.gmatch(string.sub(text, #version + 2), '%z(\1?)([^%z]*)') do
                fields[#fields + 1] = ns .. channel .. '\0' .. version
                lists[#fields] = list ~= ''
            end
        else -- as it was before there were tails
            fields[#fields + 1] = ns .. text
        end
        at = last + 1
    end
    return fields, lists
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
    local fields, lists = fields_in(ns, redis.call('HGET', KEYS[2], member .. '\0values') or '')
    for index, field in ipairs(fields) do
        while field and not used[field] do
            used[field] = true
            -- What a list has grown by rests on what it was before.
            local value = lists[index] and redis.call('HGET', KEYS[3], field) or ''
            local _, head, length = string.find(value, '^\193%d+:(%d+):')
            field = head and string.match(field, '^.*%z') .. string.sub(value, head + 1, head + tonumber(length))
        end
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
