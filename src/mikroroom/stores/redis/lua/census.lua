-- How much goes on. ARGV: prefix. Returns {rooms with somebody in them, participants, the most there were}.
local totals = redis.call('HMGET', key('totals'), 'people', 'peak')
return {redis.call('SCARD', key('active')), tonumber(totals[1] or 0), tonumber(totals[2] or 0)}
