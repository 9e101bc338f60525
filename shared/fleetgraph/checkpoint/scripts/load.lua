-- Give checkpoints with their values and writes, as they stand at one moment.
--
-- KEYS[1] sorted set  checkpoints: <ns>\0<id>
-- KEYS[2] hash        records: <member> -> head, <member>\0metadata, <member>\0values -> netstrings
-- KEYS[3] hash        values: <ns>\0<channel>\0<version>
-- KEYS[4] sorted set  places: <member>\0<task>\0<index>
-- KEYS[5] hash        writes: the same
--
-- ARGV[1] milliseconds that the thread is kept from now on, or 0 for ever
-- ARGV[2] a namespace of which to give the latest checkpoint; not looked at if members follow
-- ARGV[3] and more: members
--
-- Returns [[member, head, metadata, [place, write, place, write, ...]], ...], [field, value, field, value, ...]:
-- each value once, though several checkpoints have it; nil for one that is gone. Unknown members are left out.

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

local members = { unpack(ARGV, 3) }
if #members == 0 then
    members = redis.call('ZREVRANGEBYLEX', KEYS[1], '(' .. ARGV[2] .. '\1', '[' .. ARGV[2] .. '\0', 'LIMIT', 0, 1)
end

local found, fields, wanted = {}, {}, {}
for _, member in ipairs(members) do
    local record = redis.call('HMGET', KEYS[2], member, member .. '\0metadata', member .. '\0values')
    if record[1] then
        local ns = string.sub(member, 1, string.find(member, '\0', 1, true))
        local names, at = record[3] or '', 1
        while at <= #names do
            local colon = string.find(names, ':', at, true)
            local last = colon + tonumber(string.sub(names, at, colon - 1))
            local field = ns .. string.sub(names, colon + 1, last)
            if not wanted[field] then
                wanted[field] = true
                fields[#fields + 1] = field
            end
            at = last + 1
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

return { found, hash_of(KEYS[3], fields) }
