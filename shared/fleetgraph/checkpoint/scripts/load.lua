-- Give checkpoints with their values and writes, as they stand at one moment.
--
-- KEYS[1] sorted set  checkpoints: <ns>\0<id>
-- KEYS[2] hash        records: <member> -> head, <member>\0metadata, <member>\0values -> netstrings
-- KEYS[3] hash        values: <ns>\0<channel>\0<version> -> value; or \193<growths>:<length>:<version> and what a list has
--                     more than in that version
-- KEYS[4] sorted set  places: <member>\0<task>\0<index>
-- KEYS[5] hash        writes: the same
--
-- ARGV[1] milliseconds that the thread is kept from now on, or 0 for ever
-- ARGV[2] a namespace of which to give the latest checkpoint; not looked at if members follow
-- ARGV[3] and more: members
--
-- Returns [[member, head, metadata, [place, write, place, write, ...]], ...], [field, value, field, value, ...]:
-- each value once, though several checkpoints have it, and what lists rest on; nil for one that is gone. Unknown members
-- are left out.

local CHUNK = 1000 -- arguments of one command: Lua's stack has no room for more than some thousands

local function hash_of(key, fields)
    local pairs_of = {}
    for first = 1, #fields, CHUNK do
        local last = math.min(first + CHUNK - 1, #fields)
        local values = redis.call('HMGET', key, unpack(fields, first, last))
        for index = first, last do
            pairs_of[#pairs_of + 1] = fields[index]
            pairs_of[#pairs_of + 1] = values[index - first + 1]
        end
    end
    return pairs_of
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

local members = { unpack(ARGV, 3) }
if #members == 0 then
    members = redis.call('ZREVRANGEBYLEX', KEYS[1], '(' .. ARGV[2] .. '\1', '[' .. ARGV[2] .. '\0', 'LIMIT', 0, 1)
end

local found, fields, wanted = {}, {}, {}
for _, member in ipairs(members) do
    local record = redis.call('HMGET', KEYS[2], member, member .. '\0metadata', member .. '\0values')
    if record[1] then
        local ns = string.sub(member, 1, string.find(member, '\0', 1, true))
        for _, field in ipairs(fields_in(ns, record[3] or '')) do
            if not wanted[field] then
                wanted[field] = true
                fields[#fields + 1] = field
            end
        end
        local places = redis.call('ZRANGEBYLEX', KEYS[4], '[' .. member .. '\0', '(' .. member .. '\1')
        found[#found + 1] = { member, record[1], record[2], hash_of(KEYS[5], places) }
    end
end

if ARGV[1] ~= '0' and #found > 0 then
    for _, key in ipairs(KEYS) do
        redis.call('PEXPIRE', key, ARGV[1])
    end
end

-- What a list has grown by rests on what it was before.
local values, at = hash_of(KEYS[3], fields), 1
while at < #values do
    local field, value = values[at], values[at + 1]
    local _, head, length = string.find(value or '', '^\193%d+:(%d+):')
    if head then
        local base = string.match(field, '^.*%z') .. string.sub(value, head + 1, head + tonumber(length))
        if not wanted[base] then
            wanted[base] = true
            values[#values + 1] = base
            values[#values + 1] = redis.call('HGET', KEYS[3], base)
        end
    end
    at = at + 2
end
return { found, values }
