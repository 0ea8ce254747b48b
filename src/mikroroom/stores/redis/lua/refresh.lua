-- Rooms in which somebody is do not expire. ARGV: prefix, ttl (ms), codes.
for at = 3, #ARGV do
    redis.call('PEXPIRE', key('room', ARGV[at]), ARGV[2])
end
