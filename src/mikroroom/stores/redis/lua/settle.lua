-- The site is owed these no longer. ARGV: prefix, ids.
return redis.call('XDEL', key('outbox'), unpack(ARGV, 2))
