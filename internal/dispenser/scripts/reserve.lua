-- Tells the demand for one type, and reserves how many tokens this replica is
-- to have minted for the pool, so that all together mint no more than one would.
-- KEYS  1 the pool
--       2 reservations under way, by when they expire
--       3 each replica's demand: "<tokens a second> <when it was told>"
-- ARGV  1 fixed owner or ""  2 most age of a pooled token in us
--       3 this replica's id  4 its demand in tokens a second
--       5 seconds until a token that is missing now can be had  6 7 least and most tokens to keep
--       8 how many this replica can have minted  9 a reservation's life in us
--       10 the first part of reservations' ids
--       11 that of an earlier round whose answer was lost, or ""  12 what it asked for
--       13 14 margin and spread, as the planning has them
-- Answers who this server is, its time, how many to mint, how many are there and
-- are to be, and what was dropped.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function text(number) return string.format('%.0f', number) end
local who = owner(ARGV[1])
if who == '' then return {'', text(now), '0', '0', '0', ''} end

local entry = redis.call('LINDEX', KEYS[1], 0)
local why = entry and fault(entry, who, now, tonumber(ARGV[2]))
while why do
  count(why)
  redis.call('LPOP', KEYS[1])
  entry = redis.call('LINDEX', KEYS[1], 0)
  why = entry and fault(entry, who, now, tonumber(ARGV[2]))
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
if ARGV[11] ~= '' then
  for i = 1, tonumber(ARGV[12]) do redis.call('ZREM', KEYS[2], ARGV[11] .. i) end
end

local remembered = 10000000
if tonumber(ARGV[4]) > 0 then
  redis.call('HSET', KEYS[3], ARGV[3], ARGV[4] .. ' ' .. text(now))
  redis.call('PEXPIRE', KEYS[3], text(remembered / 1000))
end
local demand = 0
local told = redis.call('HGETALL', KEYS[3])
for i = 1, #told, 2 do
  local rate, at = string.match(told[i + 1], '^(%S+) (%d+)$')
  if at and now - tonumber(at) <= remembered and (told[i] ~= ARGV[3] or tonumber(ARGV[4]) > 0) then
    demand = demand + (tonumber(rate) or 0)
  else
    redis.call('HDEL', KEYS[3], told[i])
  end
end

local least, most = tonumber(ARGV[6]), tonumber(ARGV[7])
local meanwhile = demand * tonumber(ARGV[5])
local wanted = math.ceil(tonumber(ARGV[13]) * meanwhile + tonumber(ARGV[14]) * math.sqrt(meanwhile))
local target = math.min(math.max(wanted, least), most)
local there, coming = redis.call('LLEN', KEYS[1]), redis.call('ZCARD', KEYS[2])
local mint = math.max(math.min(target - there - coming, tonumber(ARGV[8])), 0)
for i = 1, mint do redis.call('ZADD', KEYS[2], text(now + tonumber(ARGV[9])), ARGV[10] .. i) end
if mint > 0 then redis.call('PEXPIRE', KEYS[2], text(math.ceil(tonumber(ARGV[9]) / 1000))) end
return {who, text(now), text(mint), text(there), text(target), dropped()}
