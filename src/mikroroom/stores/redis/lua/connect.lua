-- Count a connection of an address (R30). ARGV: prefix, address, limit, period (ms).
-- Returns {0 or the ms to wait, when it was counted, whether it is more than the limit}.
local address, limit, period, now = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), milliseconds()
local window = key('connections', address)
local is_extra = wait(window, limit, period, 0, now) > 0
local extra = redis.call('ZCOUNT', key('away', address), '(' .. now, '+inf')
return {take(window, limit, period, extra, now), now, is_extra and 1 or 0}
