-- How much of what its client numbered has come from a participant (R47). ARGV: prefix, then code, id, number of each.
for at = 2, #ARGV, 3 do
    local room = key('room', ARGV[at])
    if redis.call('EXISTS', room) == 1 then
        redis.call('HSET', room, 'c:' .. ARGV[at + 1], ARGV[at + 2])
    end
end
