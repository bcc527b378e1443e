-- Takes a token out of a pool for a caller of another shard, whose request was
-- decided and charged there.
-- KEYS  1 the pool
-- ARGV  1 fixed owner or ""  2 most age of a pooled token in us
-- Answers who this server is, its time, and the sealed token or "".
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local who = owner(ARGV[1])
local sealed = who ~= '' and take(KEYS[1], who, now, tonumber(ARGV[2])) or ''
return {who, string.format('%.0f', now), sealed}
