-- An entry of the pool: owner (32), time of minting in us (16), sealed token.
local function good(entry, who, now, most_age)
  local age = now - (tonumber(string.sub(entry, 33, 48)) or math.huge)
  return string.sub(entry, 1, 32) == who and age >= 0 and age <= most_age
end

-- Takes the oldest good token out of a pool, and what is not good with it.
local function take(pool, who, now, most_age)
  local entry
  repeat
    entry = redis.call('LPOP', pool)
  until not entry or good(entry, who, now, most_age)
  return entry and string.sub(entry, 49) or ''
end

-- Takes one out of the first of the pools, which are the keys from first on, that
-- has one. Returns it, and which of them it was.
local function take_first(first, who, now, most_age)
  for i = first, #KEYS do
    local sealed = take(KEYS[i], who, now, most_age)
    if sealed ~= '' then return sealed, i - first + 1 end
  end
  return '', 0
end
