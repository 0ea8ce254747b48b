-- Nothing is left to do for a worker that is gone, if that is so. ARGV: prefix, worker, whether it says so itself.
local gone = ARGV[2]
local alive_until = tonumber(redis.call('ZSCORE', key('workers'), gone) or 0)
if ARGV[3] == '0' and alive_until > milliseconds() then
    return 0
end
if redis.call('SCARD', key('at', gone)) > 0 then
    redis.call('ZADD', key('workers'), 0, gone)
    keep(key('workers'))
    return 0
end
redis.call('ZREM', key('workers'), gone)
redis.call('DEL', key('inbox', gone), key('worker', gone), key('at', gone), key('heir', gone))
return 1
