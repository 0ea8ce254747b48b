-- Whether a worker is the one that tells the site. ARGV: prefix, worker, for how long (ms; 0 if it gives that up).
local courier = key('courier')
local holder = redis.call('GET', courier)
if holder and holder ~= ARGV[2] then
    return 0
end
if ARGV[3] == '0' then
    redis.call('DEL', courier)
    return 0
end
redis.call('SET', courier, ARGV[2], 'PX', ARGV[3])
return 1
