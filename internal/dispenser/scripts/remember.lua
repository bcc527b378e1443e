-- Remembers a token: 1 where it is new, 0 where it was given before.
-- KEYS the token's hash under each of the secrets, the writing one first
-- ARGV 1 the token's life in ms
if redis.call('EXISTS', unpack(KEYS)) > 0 then return 0 end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return 1
