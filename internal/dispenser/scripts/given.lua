-- Whether the vendor gave a token before; from now on it did.
-- Time is cut into periods as long as a token's life, and what is given in each
-- stands in a set: this period's, and the one's before. A token is so remembered
-- for one life at least and two at most, one that is repeated for as long again.
-- There are three sets that take turns, so that the third is freed, in the
-- background, before it is needed; and each ends by itself, where nobody comes.
-- Replicas that take lives of different lengths free each other's.
-- now   in us
-- life  a token's in ms
-- sets  where in KEYS the three begin
-- first, last  where in ARGV the token's hashes are, one under each of the secrets,
--       the writing one first
local function given(now, life, sets, first, last)
  local period = math.floor(now / (life * 1000))
  local function set(turn) return KEYS[sets + turn % 3] end
  local present, before = set(period), set(period - 1)
  local seen = false
  for i = first, last do
    seen = seen or redis.call('SISMEMBER', present, ARGV[i]) == 1 or redis.call('SISMEMBER', before, ARGV[i]) == 1
  end
  local begun = redis.call('EXISTS', present) == 1
  redis.call('SADD', present, ARGV[first])
  if not begun then
    local ends = (period + 2.5) * life - now / 1000
    redis.call('PEXPIRE', present, string.format('%.0f', math.ceil(ends)))
    redis.call('UNLINK', set(period + 1))
  end
  return seen
end
