-- Remembers a token: 1 where it is new, 0 where it was given before. A vendor
-- that repeats it goes on being watched for as long.
-- KEYS the token's hash under each of the secrets, the writing one first
-- ARGV 1 the token's life in ms
local seen = redis.call('EXISTS', unpack(KEYS)) > 0
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return seen and 0 or 1
