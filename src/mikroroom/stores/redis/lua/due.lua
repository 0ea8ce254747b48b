-- Rooms in which something is due; for a while they are nobody else's concern. ARGV: prefix, the time (ms), how many.
local due = redis.call('ZRANGEBYSCORE', key('due'), '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, code in ipairs(due) do
    if redis.call('EXISTS', key('room', code)) == 1 then
        redis.call('ZADD', key('due'), ARGV[2] + 3000, code)
    else
        forget(code)
    end
end
return due
