-- How much of what its client numbered has come from a participant (R47). ARGV: prefix, then code, id, number of each.
-- It never becomes less: this may come a second time, after somebody else has told of more.
for at = 2, #ARGV, 3 do
    local room, count = key('room', ARGV[at]), 'c:' .. ARGV[at + 1]
    if redis.call('EXISTS', room) == 1 and tonumber(ARGV[at + 2]) > tonumber(redis.call('HGET', room, count) or 0) then
        redis.call('HSET', room, count, ARGV[at + 2])
    end
end
