-- Decides one request: replay? over a limit? -> charge, and claim the attempt.
-- Nothing is written unless the answer is "granted", and what can fail comes
-- before the first write: a script is not rolled back.
--
-- KEYS  1        the global rate: its theoretical arrival time
--       2..1+n   the caller's state for this type, under each of n secrets:
--                "<theoretical arrival time> <UTC day> <used that day>"
--       then, with an idempotency key,
--       n more   the attempt, under each secret:
--                "p<fingerprint><claim>" or "d<fingerprint><sealed answer>"
--       1 more   the failure of the claim that this request waits on
-- ARGV  1 n  2 claim id or ""  3 fingerprint  4 claim's life in ms
--       5 the kept answer that is of no use and to be written over, or ""
--       6 7 user interval in us and count  8 daily limit  9 10 global interval and count
-- Times are microseconds of this server's clock, since replicas' clocks differ.
local n = tonumber(ARGV[1])
local claim, fingerprint = ARGV[2], ARGV[3]
local keyed = claim ~= ''

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function text(number) return string.format('%.0f', number) end

if keyed then
  local failure = redis.call('GET', KEYS[2 + 2 * n])
  if failure then return {'failed', text(now), failure} end
  for i = 1, n do
    local entry = redis.call('GET', KEYS[1 + n + i])
    if entry then
      if string.sub(entry, 2, 23) ~= fingerprint then return {'reused', text(now)} end
      if string.sub(entry, 1, 1) == 'p' then return {'pending', text(now), string.sub(entry, 24)} end
      local answer = string.sub(entry, 24)
      if answer ~= ARGV[5] then return {'replay', text(now), answer} end
    end
  end
end

local today = math.floor(now / 86400000000)
local tat, used = 0, 0
for i = 1, n do
  local state = redis.call('GET', KEYS[1 + i])
  if state then
    local at, day, count = string.match(state, '^(%d+) (%d+) (%d+)$')
    if at then
      tat = math.max(tat, tonumber(at))
      if tonumber(day) == today then used = math.max(used, tonumber(count)) end
    end
  end
end
local global = tonumber(redis.call('GET', KEYS[1]) or '0') or 0

local function over(at, interval, count)
  return count > 0 and math.max(at, now) + interval - now > interval * count
end
local user_interval, user_count = tonumber(ARGV[6]), tonumber(ARGV[7])
local daily = tonumber(ARGV[8])
local global_interval, global_count = tonumber(ARGV[9]), tonumber(ARGV[10])
local function limited(which) return {'limited', text(now), which, text(tat), text(used), text(global)} end
if daily > 0 and used >= daily then return limited('per_user_daily') end
if over(tat, user_interval, user_count) then return limited('per_user') end
if over(global, global_interval, global_count) then return limited('global') end

local function milliseconds(us) return text(math.max(math.ceil(us / 1000), 1)) end
if user_count > 0 then tat = math.max(tat, now) + user_interval end
if global_count > 0 then
  global = math.max(global, now) + global_interval
  redis.call('SET', KEYS[1], text(global), 'PX', milliseconds(global - now))
end
used = used + 1
local life = math.max(tat - now, (today + 1) * 86400000000 - now)
redis.call('SET', KEYS[2], text(tat) .. ' ' .. text(today) .. ' ' .. text(used), 'PX', milliseconds(life))
if keyed then
  for i = 2, n do redis.call('DEL', KEYS[1 + n + i]) end
  redis.call('SET', KEYS[2 + n], 'p' .. fingerprint .. claim, 'PX', ARGV[4])
end
return {'granted', text(now), '', text(tat), text(used), text(global)}
