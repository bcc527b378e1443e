-- Ends a request that got no token: frees its claim, tells those who wait on
-- it why, and gives back the charge where no token can have been made. With a
-- claim it happens at most once, since only its holder finds it.
-- KEYS 1 global rate  2 the caller's state  and with a claim: 3 the attempt  4 the claim's failure
-- ARGV 1 claim id or ""  2 fingerprint  3 failure  4 its life in ms
--      5 "1" to give back  6 UTC day of the charge
local claim = ARGV[1]
if claim ~= '' then
  if redis.call('GET', KEYS[3]) ~= 'p' .. ARGV[2] .. claim then return 0 end
  redis.call('DEL', KEYS[3])
  redis.call('SET', KEYS[4], ARGV[3], 'PX', ARGV[4])
end
if ARGV[5] ~= '1' then return 1 end
local function text(number) return string.format('%.0f', number) end
local state = redis.call('GET', KEYS[2])
if state then
  -- The interval that stands there is what one event is worth now.
  local at, day, count, step = string.match(state, '^(%d+) (%d+) (%d+) (%d+)$')
  if at then
    count = tonumber(count)
    if day == ARGV[6] then count = math.max(count - 1, 0) end
    local tat = math.max(tonumber(at) - tonumber(step), 0)
    redis.call('SET', KEYS[2], text(tat) .. ' ' .. day .. ' ' .. text(count) .. ' ' .. step, 'KEEPTTL')
  end
end
local at, step = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
if at then
  redis.call('SET', KEYS[1], text(math.max(tonumber(at) - tonumber(step), 0)) .. ' ' .. step, 'KEEPTTL')
end
return 1
