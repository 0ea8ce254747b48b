-- A worker has read its inbox up to an id, so many bytes; that one entry stays. ARGV: prefix, worker, id, bytes.
redis.call('XTRIM', key('inbox', ARGV[2]), 'MINID', ARGV[3])
if redis.call('EXISTS', key('worker', ARGV[2])) == 1 then
    redis.call('HINCRBY', key('worker', ARGV[2]), 'unread', -ARGV[4])
end
