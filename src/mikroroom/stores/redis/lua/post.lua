-- What people say goes to the workers of those who are to hear it, wherever they are at this moment.
-- ARGV: prefix, worker, number, then for each letter: the worker it is for, the rooms it is about with the versions
-- that the sender knew, and what is in it; see post.py. The number is that of this batch: the second time, after a
-- connection was lost, nothing happens.
-- Where all rooms are at these versions, the letter goes as it is. Otherwise everything in it that is from a room
-- which has changed goes to where its people are now.
-- Nothing is sent for a worker that was taken for dead.
-- Returns 0, or 1 where a room or an inbox was missing.
local me, number = ARGV[2], tonumber(ARGV[3])
local about = key('worker', me)
if redis.call('EXISTS', key('buried', me)) == 1 then
    return 0
end
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

-- What has to go elsewhere than was thought; and where it belongs among what was said.
local strays = {}

local function sort(worker, letter, changed)
    local at = 1
    while at <= #letter do
        local line = string.find(letter, '\n', at, true)
        local head = string.sub(letter, at, line - 1)
        local kind, code, what, place, length = string.match(head, '^(%S+) (%S*) (%S*) (%d+) (%d+)$')
        local stop = line + tonumber(length)
        local piece = string.sub(letter, at, stop)
        if changed[code] then
            strays[#strays + 1] = {place = tonumber(place), kind = kind, code = code, what = what, piece = piece}
        else
            deliver(worker, piece)
        end
        at = stop + 1
    end
end

local function forward(stray)
    if stray.kind == 'c' then
        for _, worker in ipairs(room_of(stray.code).talkers) do
            deliver(worker, stray.piece)
        end
    elseif stray.kind ~= 'd' then
        local home = redis.call('HGET', key('room', stray.code), 'h:' .. stray.what)
        if home then
            deliver(home, stray.piece)
        end
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

-- In the order in which it was said: what one person says to another may have been in several letters.
table.sort(strays, function(one, other) return one.place < other.place end)
for _, stray in ipairs(strays) do
    forward(stray)
end
return result
