-- Writes a number down unless there is one, and answers which one holds.
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
