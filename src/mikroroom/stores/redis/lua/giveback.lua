-- A connection's place in the count is given back (R13), if it is for coming back so many times at most.
-- ARGV: prefix, address, when it was counted, participant or nothing, limit, period (ms).
if ARGV[4] == '' or take(key('returns', ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), 0, milliseconds()) == 0 then
    redis.call('LREM', key('connections', ARGV[2]), 1, ARGV[3])
end
