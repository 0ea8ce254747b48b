-- Room events from a stream. ARGV: prefix, which one, from which id, how many at most.
-- Returns {when it began, up to which id they are forgotten, entries} of the chronicle, {how many there are, entries} of the outbox.
local stream = key(ARGV[2])
local entries = redis.call('XRANGE', stream, ARGV[3], '+', 'COUNT', ARGV[4])
if ARGV[2] == 'outbox' then
    return {redis.call('XLEN', stream), entries}
end
local began = redis.call('GET', key('began')) or string.format('%d-0', milliseconds())
return {began, redis.call('GET', key('forgotten')) or '0-0', entries}
