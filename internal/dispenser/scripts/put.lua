-- Puts one token into the pool and ends its reservation. It must be of this
-- server's time and life, young enough, and never given before by the vendor.
-- KEYS  1 the pool  2 reservations, of this pool or, where another key had to
--       mint, of another  3 to 5 the sets of what was given
-- ARGV  1 fixed owner or ""  2 who this server was when the time was read
--       3 when the token was minted, in us  4 sealed token
--       5 most age in us  6 most tokens in the pool  7 the token's life in ms
--       8 reservation or ""
--       9 and on: the token's hash under each of the secrets, the writing one
--       first, where it was not remembered before
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function text(number) return string.format('%.0f', number) end
local who = owner(ARGV[1])
local entry = ARGV[2] .. ARGV[3] .. ARGV[4]
if ARGV[8] ~= '' then redis.call('ZREM', KEYS[2], ARGV[8]) end
local why = who == '' and 'fenced' or fault(entry, who, now, tonumber(ARGV[5]))
if why then return why end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[6]) then return 'full' end
if #ARGV > 8 and given(now, tonumber(ARGV[7]), 3, 9, #ARGV) then return 'repeated' end
redis.call('RPUSH', KEYS[1], entry)
redis.call('PEXPIRE', KEYS[1], text(math.ceil(tonumber(ARGV[5]) / 1000)))
return 'kept'
