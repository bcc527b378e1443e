-- An entry of the pool: owner (32), time of minting in us (16), sealed token.
-- Why it is not good, or nil where it is.
local function fault(entry, who, now, most_age)
  if string.sub(entry, 1, 32) ~= who then return 'fenced' end
  local age = now - (tonumber(string.sub(entry, 33, 48)) or math.huge)
  if age < 0 or age > most_age then return 'expired' end
end

-- Counts what is dropped, and tells it once: "<fenced> <expired>", or "" for none.
local fenced, expired = 0, 0
local function count(why)
  if why == 'fenced' then fenced = fenced + 1 else expired = expired + 1 end
end
local function dropped()
  local told = fenced + expired > 0 and fenced .. ' ' .. expired or ''
  fenced, expired = 0, 0
  return told
end

-- Takes the oldest good token out of a pool, and what is not good with it.
local function take(pool, who, now, most_age)
  while true do
    local entry = redis.call('LPOP', pool)
    local why = entry and fault(entry, who, now, most_age)
    if not why then return entry and string.sub(entry, 49) or '' end
    count(why)
  end
end

-- Takes one out of the first of the pools, which are the keys from first to last,
-- that has one. Returns it, and which of them it was.
local function take_first(first, last, who, now, most_age)
  for i = first, last do
    local sealed = take(KEYS[i], who, now, most_age)
    if sealed ~= '' then return sealed, i - first + 1 end
  end
  return '', 0
end
