-- Whoever asks first sees to the rooms of a worker that is gone. ARGV: prefix, the one gone, the heir.
-- Returns their codes; or false where another does it, or there is nothing to do.
local gone, heir = ARGV[2], ARGV[3]
local claim = key('heir', gone)
if redis.call('SET', claim, heir, 'NX', 'PX', 5000) or redis.call('GET', claim) == heir then
    redis.call('PEXPIRE', claim, 5000)
    return redis.call('SMEMBERS', key('at', gone))
end
return false
