-- A worker is about to go: nobody is to send it people, nor to take it for dead yet. ARGV: prefix, worker.
-- Returns the others that live.
redis.call('ZREM', key('workers'), ARGV[2])
return redis.call('ZRANGEBYSCORE', key('workers'), '(' .. milliseconds(), '+inf')
