-- A room goes from one version to the next, and everyone concerned is told: all of it, or nothing.
-- ARGV: prefix, code, how (msgpack; see record.py), record, entry, the worker whose commit it is. That one has the
-- entry, and is only told that it is committed.
-- Returns {1, workers without an inbox...}; {0, version, record} where the room is at another version;
-- {5} where that worker was taken for dead; {2} or {3} where there are too many rooms, or too many latent ones; {4} where it is too late.
local code, how, record, entry, origin = ARGV[2], cmsgpack.unpack(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local room = key('room', code)
local now = milliseconds()
local had = redis.call('HMGET', room, 'v', 's')
local version, state = had[1] or '', had[2] or ''
local people = tonumber(redis.call('HGET', key('people'), code) or 0)

if redis.call('EXISTS', key('buried', origin)) == 1 then
    return {5}
end

if how.is_restore then
    if version ~= '' and tonumber(version) >= tonumber(how.version) then
        return {0, version, redis.call('HGET', room, 'b')}
    end
    -- Ended, and not lost: who would put it back has not read so yet.
    local ended = redis.call('GET', key('ended', code))
    if ended and tonumber(ended) >= tonumber(how.version) then
        return {0, '', ''}
    end
    redis.call('DEL', room)
elseif version ~= how.base then
    return {0, version, redis.call('HGET', room, 'b') or ''}
elseif how.deadline > 0 and now > how.deadline then
    return {4}
elseif version == '' then
    local latent = redis.call('SCARD', key('latent'))
    local all = latent + redis.call('SCARD', key('active')) + redis.call('SCARD', key('lingering'))
    if all >= how.max_rooms then
        return {2}
    elseif how.state == 'latent' and latent >= how.max_latent_rooms then
        return {3}
    end
end

if how.state == '' then
    redis.call('DEL', room)
    redis.call('SET', key('ended', code), how.version, 'PX', 60000)
else
    redis.call('HSET', room, 'v', how.version, 'b', record, 's', how.state, 'w', how.talkers)
    for id, worker in pairs(how.homes) do
        redis.call('HSET', room, 'h:' .. id, worker)
    end
    for _, id in ipairs(how.gone) do
        redis.call('HDEL', room, 'h:' .. id, 'c:' .. id)
    end
    redis.call('PEXPIRE', room, how.ttl)
end

if state ~= how.state then
    if state ~= '' then
        redis.call('SREM', key(state), code)
    end
    if how.state ~= '' then
        redis.call('SADD', key(how.state), code)
        keep(key(how.state))
    end
end
if how.due == 0 then
    redis.call('ZREM', key('due'), code)
else
    redis.call('ZADD', key('due'), how.due, code)
    keep(key('due'))
end
if people ~= how.people then
    if how.people > 0 then
        redis.call('HSET', key('people'), code, how.people)
        keep(key('people'))
    else
        redis.call('HDEL', key('people'), code)
    end
    local all = redis.call('HINCRBY', key('totals'), 'people', how.people - people)
    if all > tonumber(redis.call('HGET', key('totals'), 'peak') or 0) then
        redis.call('HSET', key('totals'), 'peak', all)
    end
    keep(key('totals'))
end

for _, worker in ipairs(how.came) do
    redis.call('SADD', key('at', worker), code)
    keep(key('at', worker))
end
for _, worker in ipairs(how.went) do
    redis.call('SREM', key('at', worker), code)
end
for _, one in ipairs(how.away) do
    local away = key('away', one[1])
    redis.call('ZADD', away, now + one[3], one[2])
    redis.call('PEXPIRE', away, one[3])
end
for _, one in ipairs(how.back) do
    redis.call('ZREM', key('away', one[1]), one[2])
end
for _, token in ipairs(how.late) do
    redis.call('SET', key('late', token), '', 'PX', 600000)
end

for _, event in ipairs(how.events or {}) do
    local id = '*'
    if how.events_kept > 0 then
        id = redis.call('XADD', key('chronicle'), '*', 'e', event[1])
        keep(key('chronicle'))
    end
    if event[2] then
        -- Where Redis has forgotten one of the two streams and not the other, their ids may not go together.
        local added = redis.pcall('XADD', key('outbox'), id, 'e', event[1])
        if type(added) == 'table' and added.err then
            redis.call('XADD', key('outbox'), '*', 'e', event[1])
        end
        keep(key('outbox'))
    end
end
local length = how.events_kept and how.events_kept > 0 and redis.call('XLEN', key('chronicle')) or 0
-- Where far fewer are to be kept than there were, they go by and by: nobody waits for that.
local excess = math.min(length - (how.events_kept or 0), 1000)
if length > 0 and excess > 0 then
    local gone = redis.call('XRANGE', key('chronicle'), '-', '+', 'COUNT', excess)
    redis.call('SET', key('forgotten'), gone[#gone][1])
    redis.call('XTRIM', key('chronicle'), 'MAXLEN', length - excess)
    keep(key('forgotten'))
end

local result = {1}
for _, worker in ipairs(how.to) do
    local letter = {'c', entry}
    if worker == origin then
        letter = {'o', code .. ' ' .. how.version}
    end
    if not send(worker, letter, #letter[2]) then
        result[#result + 1] = worker
    end
end
return result
