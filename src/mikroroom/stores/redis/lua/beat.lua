-- A worker is alive, and hears who else is.
-- ARGV: prefix, worker, lease (ms), patience (ms), its idea of the time (ms; 0 if it has none).
-- Returns false if it was taken for dead; else {whether it had an inbox, how many beats, the time (ms), the id up to
-- which there is something in its inbox, Redis' time}, the workers that are alive, those that have left and had rooms still, and those not heard of for a lease.
local me, lease, patience, idea = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('EXISTS', key('buried', me)) == 1 then
    return false
end
local inbox, about, now = key('inbox', me), key('worker', me), milliseconds()
local had = redis.call('EXISTS', inbox)
local last
if had == 0 then
    last = redis.call('XADD', inbox, '*', 'b', '')
    redis.call('HSET', about, 'unread', 0)
else
    local newest = redis.call('XREVRANGE', inbox, '+', '-', 'COUNT', 1)[1]
    last = newest and newest[1] or '0-0'
end
local beats = redis.call('HINCRBY', about, 'beats', 1)
redis.call('PEXPIRE', inbox, patience)
redis.call('PEXPIRE', about, patience)
redis.call('ZADD', key('workers'), now + lease, me)
-- What has happened before may have been forgotten with all else.
redis.call('SET', key('began'), string.format('%d-0', now), 'NX')
for _, name in ipairs({'workers', 'due', 'totals', 'people', 'active', 'latent', 'lingering', 'at:' .. me,
    'chronicle', 'outbox', 'began', 'forgotten'}) do
    redis.call('PEXPIRE', key(name), 172800000)
end

-- The workers hold the time, by clocks that do not jump; Redis, whose clock may, only carries it among them.
local offset = tonumber(redis.call('GET', key('clock')) or 0)
if idea > 0 and math.abs(now + offset - idea) > 1500 then
    offset = idea - now
end
redis.call('SET', key('clock'), offset, 'PX', 172800000)

return {
    {had, beats, now + offset, last, now},
    redis.call('ZRANGEBYSCORE', key('workers'), '(' .. now, '+inf'),
    redis.call('ZRANGEBYSCORE', key('workers'), '-inf', 0),
    redis.call('ZRANGEBYSCORE', key('workers'), '(0', now),
}
