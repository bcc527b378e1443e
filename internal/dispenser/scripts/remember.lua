-- Remembers tokens: for each 1 where it is new, 0 where it was given before.
-- KEYS 1 to 3 the sets of what was given
-- ARGV 1 a token's life in ms  2 how many hashes each has
--      and for each its hash under each of the secrets, the writing one first
-- Answers the time, and then of each token.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local answers = {now}
for _, before in ipairs(given(now, tonumber(ARGV[1]), 1, {unpack(ARGV, 3)}, tonumber(ARGV[2]))) do
  answers[#answers + 1] = before and 0 or 1
end
return answers
