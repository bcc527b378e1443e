-- Notes that something is used: 1 for the first time, 0 later.
-- KEYS its hash under each of the secrets, the writing one first
-- ARGV 1 how long to remember it, in ms
if redis.call('EXISTS', unpack(KEYS)) > 0 then return 0 end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return 1
