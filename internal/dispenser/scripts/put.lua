-- Puts tokens into a pool and ends their reservations. Each must be of this
-- server's time and life, young enough, and never given before by the vendor; one
-- that was given takes up room in this run all the same.
-- KEYS  1 the pool  2 to 4 the sets of what was given
--       and for each token
--       1 more   reservations, of this pool or, where another key had to mint, of
--                another
-- ARGV  1 fixed owner or ""  2 most age in us  3 most tokens in the pool
--       4 a token's life in ms
--       5 how many hashes each has, 0 where they were remembered before
--       and for each token
--       4 more   who this server was when the time was read; when the token was
--                minted, in us; the sealed token; its reservation or ""
--       and its hash under each of the secrets, the writing one first
-- Answers the time, and then of each token "kept", or why it is not.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local who, most_age, each = owner(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[5])
local room = tonumber(ARGV[3]) - redis.call('LLEN', KEYS[1])

-- What each token came to, and of those that may be kept which, as what, and their
-- hashes.
local answers, good, entries, hashes = {now}, {}, {}, {}
for token = 1, #KEYS - 4 do
  local first = 6 + (token - 1) * (4 + each)
  local entry = ARGV[first] .. ARGV[first + 1] .. ARGV[first + 2]
  if ARGV[first + 3] ~= '' then redis.call('ZREM', KEYS[4 + token], ARGV[first + 3]) end
  local why = who == '' and 'fenced' or fault(entry, who, now, most_age)
  if not why and #good >= room then why = 'full' end
  answers[1 + token] = why
  if not why then
    good[#good + 1], entries[#entries + 1] = 1 + token, entry
    for i = first + 4, first + 3 + each do hashes[#hashes + 1] = ARGV[i] end
  end
end

local before = #hashes > 0 and given(now, tonumber(ARGV[4]), 2, hashes, each) or {}
local kept = {}
for i, which in ipairs(good) do
  answers[which] = before[i] and 'repeated' or 'kept'
  if not before[i] then kept[#kept + 1] = entries[i] end
end
if #kept > 0 then
  redis.call('RPUSH', KEYS[1], unpack(kept))
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(most_age / 1000)))
end
return answers
