-- What people say goes to the workers of those who are to hear it, wherever they are at this moment.
-- ARGV: prefix, worker, number, then for each thing said: kind, code, whom or what, payload. The number is that
-- of this batch: the second time, after a connection was lost, nothing happens.
-- Kinds: r, to one participant; c, to everyone in the room, where `what` is the version that the speaker's worker
-- knew, which has told its own; h, a mailbox, to the worker where its participant is; w, to a worker, by name.
-- Returns 0, or 1 where a room or an inbox was missing.
local me, number = ARGV[2], tonumber(ARGV[3])
local about = key('worker', me)
if number <= tonumber(redis.call('HGET', about, 'posted') or 0) then
    return 0
end
redis.call('HSET', about, 'posted', number)

local letters, sizes = {}, {}
local result = 0

local function add(worker, field, payload)
    local letter = letters[worker]
    if not letter then
        letter = {}
        letters[worker], sizes[worker] = letter, 0
    end
    letter[#letter + 1] = field
    letter[#letter + 1] = payload
    sizes[worker] = sizes[worker] + #payload
end

local rooms = {}
local function room_of(code)
    local room = rooms[code]
    if not room then
        local had = redis.call('HMGET', key('room', code), 'v', 'w')
        room = {version = had[1], talkers = {}, homes = {}}
        if had[1] then
            for worker in string.gmatch(had[2], '%S+') do
                room.talkers[#room.talkers + 1] = worker
            end
        else
            result = 1
        end
        rooms[code] = room
    end
    return room
end

for at = 4, #ARGV, 4 do
    local kind, code, what, payload = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if kind == 'w' then
        add(what, 'w', payload)
    elseif kind == 'c' then
        local room = room_of(code)
        for _, worker in ipairs(room.talkers) do
            if worker ~= me or room.version ~= what then
                add(worker, 'c:' .. code .. ':' .. me .. ':' .. what, payload)
            end
        end
    else
        local homes = room_of(code).homes
        local home = homes[what]
        if home == nil then
            home = redis.call('HGET', key('room', code), 'h:' .. what)
            homes[what] = home
        end
        if home then
            add(home, kind .. ':' .. what, payload)
        end
    end
end

for worker, letter in pairs(letters) do
    if not send(worker, letter, sizes[worker]) then
        result = 1
    end
end
return result
