-- Whether whoever comes with this token is only late (R45). ARGV: prefix, digest.
return redis.call('EXISTS', key('late', ARGV[2]))
