-- An entry of the pool: owner (32), time of minting in us (16), sealed token.
-- Why it is not good, or nil where it is.
local function fault(entry, who, now, most_age)
  if string.sub(entry, 1, 32) ~= who then return 'fenced' end
  local age = now - (tonumber(string.sub(entry, 33, 48)) or math.huge)
  if age < 0 or age > most_age then return 'expired' end
end

-- Counts what is dropped, and tells it once: "<fenced>/<expired>", or "" for none.
local fenced, expired = 0, 0
local function count(why)
  if why == 'fenced' then fenced = fenced + 1 else expired = expired + 1 end
end
local function dropped()
  local told = fenced + expired > 0 and fenced .. '/' .. expired or ''
  fenced, expired = 0, 0
  return told
end

-- Takes up to n tokens out of the pools, which are the keys from first to last: the
-- oldest good ones of the first, then of the next. What is not good goes with them.
-- Returns them in a list, and in another which of the pools each came out of, "1"
-- the first.
local function take(first, last, n, who, now, most_age)
  local sealed, from = {}, {}
  for i = first, last do
    local pool = tostring(i - first + 1)
    while #sealed < n do
      local entries = redis.call('LPOP', KEYS[i], n - #sealed)
      if not entries then break end
      for _, entry in ipairs(entries) do
        local why = fault(entry, who, now, most_age)
        if why then
          count(why)
        else
          sealed[#sealed + 1], from[#from + 1] = string.sub(entry, 49), pool
        end
      end
    end
  end
  return sealed, from
end
