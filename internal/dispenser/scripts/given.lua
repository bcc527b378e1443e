-- Which tokens the vendor gave before; from now on it gave all of them.
-- Time is cut into periods as long as a token's life, and what is given in each
-- stands in a set: this period's, and the one's before. A token is so remembered
-- for one life at least and two at most, one that is repeated for as long again.
-- There are three sets that take turns, so that the third is freed, in the
-- background, before it is needed; and each ends by itself, where nobody comes.
-- Replicas that take lives of different lengths free each other's.
-- now    in us
-- life   a token's in ms
-- sets   where in KEYS the three begin
-- hashes of one token after the other, of one at least
-- each   how many a token has: one under each of the secrets, the writing one first
-- Returns of each token whether it was given before.
local function given(now, life, sets, hashes, each)
  local period = math.floor(now / (life * 1000))
  local function set(turn) return KEYS[sets + turn % 3] end
  local present = set(period)
  local in_present = redis.call('SMISMEMBER', present, unpack(hashes))
  local in_before = redis.call('SMISMEMBER', set(period - 1), unpack(hashes))
  local before, writing, met = {}, {}, {}
  for first = 1, #hashes, each do
    local seen = false
    for i = first, first + each - 1 do
      seen = seen or in_present[i] == 1 or in_before[i] == 1 or met[hashes[i]] == true
    end
    before[#before + 1], writing[#writing + 1], met[hashes[first]] = seen, hashes[first], true
  end
  local begun = redis.call('EXISTS', present) == 1
  redis.call('SADD', present, unpack(writing))
  if not begun then
    local ends = (period + 2.5) * life - now / 1000
    redis.call('PEXPIRE', present, string.format('%.0f', math.ceil(ends)))
    redis.call('UNLINK', set(period + 1))
  end
  return before
end
