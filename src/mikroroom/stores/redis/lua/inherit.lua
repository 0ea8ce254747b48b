-- Whoever asks first sees to the rooms of a worker that goes, or is gone. ARGV: prefix, that one, the heir, whether it
-- was not heard of. Returns their codes; or false where another does it, or it is heard of again.
local gone, heir = ARGV[2], ARGV[3]
if ARGV[4] == '1' then
    if tonumber(redis.call('ZSCORE', key('workers'), gone) or 0) > milliseconds() then
        return false
    end
    -- Should it only have slept, nothing more is done in its name; see commit.lua and beat.lua.
    redis.call('SET', key('buried', gone), '', 'PX', 172800000)
end
local claim = key('heir', gone)
if redis.call('SET', claim, heir, 'NX', 'PX', 5000) or redis.call('GET', claim) == heir then
    redis.call('PEXPIRE', claim, 5000)
    local codes = {}
    for _, code in ipairs(redis.call('SMEMBERS', key('at', gone))) do
        if redis.call('EXISTS', key('room', code)) == 1 then
            codes[#codes + 1] = code
        else
            redis.call('SREM', key('at', gone), code)
            forget(code)
        end
    end
    return codes
end
return false
