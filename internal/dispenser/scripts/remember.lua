-- Remembers a token: 1 where it is new, 0 where it was given before.
-- KEYS 1 to 3 the sets of what was given
-- ARGV 1 a token's life in ms
--      2 and on: its hash under each of the secrets, the writing one first
local t = redis.call('TIME')
return given(t[1] * 1000000 + t[2], tonumber(ARGV[1]), 1, 2) and 0 or 1
