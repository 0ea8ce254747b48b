-- Before every script. Keys are named from the prefix: the inboxes that a change goes to are not known before.
local prefix = ARGV[1]

local function key(...)
    return prefix .. table.concat({...}, ':')
end

local function milliseconds()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Put fields and values into a worker's inbox. False if it has none: the worker is gone, or was never heard of.
-- One that has not read for so long that its inbox is full loses it, and finds out.
local function send(worker, pairs, size)
    local inbox = key('inbox', worker)
    if not redis.call('XADD', inbox, 'NOMKSTREAM', '*', unpack(pairs)) then
        return false
    end
    if redis.call('HINCRBY', key('worker', worker), 'unread', size) > 67108864 then
        redis.call('DEL', inbox)
        return false
    end
    return true
end

-- Beats keep what all share from expiring; whatever has just been made has no end yet.
local function keep(name)
    if redis.call('PTTL', name) < 0 then
        redis.call('PEXPIRE', name, 172800000)
    end
end

-- A room is not there, though it was not ended: nothing may count it any more.
local function forget(code)
    for _, state in ipairs({'active', 'latent', 'lingering'}) do
        redis.call('SREM', key(state), code)
    end
    redis.call('ZREM', key('due'), code)
    local people = tonumber(redis.call('HGET', key('people'), code) or 0)
    if people > 0 then
        redis.call('HINCRBY', key('totals'), 'people', -people)
        redis.call('HDEL', key('people'), code)
    end
end

-- Milliseconds until there is a place free in a window of times (a list); 0 if there is one.
local function wait(window, limit, period, extra, now)
    if limit == 0 then
        return 0
    end
    local length = redis.call('LLEN', window)
    if length == 0 then
        return 0
    end
    local first = redis.call('LINDEX', window, 0)
    while first and tonumber(first) <= now - period do
        redis.call('LPOP', window)
        first = redis.call('LINDEX', window, 0)
    end
    local excess = redis.call('LLEN', window) - limit - extra
    if excess < 0 then
        return 0
    end
    return redis.call('LINDEX', window, excess) + period - now
end

local function take(window, limit, period, extra, now)
    local left = wait(window, limit, period, extra, now)
    if left == 0 and limit > 0 then
        redis.call('RPUSH', window, now)
        redis.call('PEXPIRE', window, period)
    end
    return left
end
