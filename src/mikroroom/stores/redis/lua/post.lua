-- What people say goes to the workers of those who are to hear it, wherever they are at this moment.
-- ARGV: prefix, worker, number, then for each letter: the worker it is for, the rooms it is about with the versions
-- that the sender knew, and what is in it; see post.py. The number is that of this batch: the second time, after a
-- connection was lost, nothing happens.
-- Where all rooms are at these versions, the letter goes as it is. Otherwise everything in it that is from a room
-- which has changed goes to where its people are now.
-- Returns 0, or 1 where a room or an inbox was missing.
local me, number = ARGV[2], tonumber(ARGV[3])
local about = key('worker', me)
if number <= tonumber(redis.call('HGET', about, 'posted') or 0) then
    return 0
end
redis.call('HSET', about, 'posted', number)

local result = 0
local rooms = {}

local function room_of(code)
    local room = rooms[code]
    if not room then
        local had = redis.call('HMGET', key('room', code), 'v', 'w')
        room = {version = had[1] or '', talkers = {}}
        for worker in string.gmatch(had[2] or '', '%S+') do
            room.talkers[#room.talkers + 1] = worker
        end
        if not had[1] then
            result = 1
        end
        rooms[code] = room
    end
    return room
end

local function deliver(worker, letter)
    if not send(worker, {'l', letter}, #letter) then
        result = 1
    end
end

-- One after the other, so that what one person says to another stays in order.
local function sort(worker, letter, changed)
    local at = 1
    while at <= #letter do
        local line = string.find(letter, '\n', at, true)
        local kind, code, what, length = string.match(string.sub(letter, at, line - 1), '^(%S+) (%S*) (%S*) (%d+)$')
        local stop = line + tonumber(length)
        local piece = string.sub(letter, at, stop)
        if not changed[code] then
            deliver(worker, piece)
        elseif kind == 'c' then
            for _, talker in ipairs(room_of(code).talkers) do
                deliver(talker, piece)
            end
        elseif kind ~= 'd' then
            local home = redis.call('HGET', key('room', code), 'h:' .. what)
            if home then
                deliver(home, piece)
            end
        end
        at = stop + 1
    end
end

for at = 4, #ARGV, 3 do
    local worker, letter = ARGV[at], ARGV[at + 2]
    local changed
    for code, version in string.gmatch(ARGV[at + 1], '(%S+) (%S+)') do
        if room_of(code).version ~= version then
            changed = changed or {}
            changed[code] = true
        end
    end
    if changed then
        sort(worker, letter, changed)
    else
        deliver(worker, letter)
    end
end
return result
