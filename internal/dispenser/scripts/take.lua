-- Takes a token out of pools for a caller of another shard, whose request was
-- decided and charged there.
-- KEYS  the pools, in order
-- ARGV  1 fixed owner or ""  2 most age of a pooled token in us
-- Answers the time, the sealed token or "", and which pool it came out of, and what
-- was dropped.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local who = owner(ARGV[1])
local sealed, from = {}, {}
if who ~= '' then sealed, from = take(1, #KEYS, 1, who, now, tonumber(ARGV[2])) end
return {string.format('%.0f', now), sealed[1] or '', from[1] or '0', dropped()}
