-- Decides one request: replay? over a limit? -> charge, claim the attempt, and
-- take a token out of the pool where one is ready.
-- Nothing is written unless the answer is "granted", and what can fail comes
-- before the first write: a script is not rolled back.
--
-- KEYS  1        the global rate: its theoretical arrival time
--       2        the pool
--       3..2+n   the caller's state for this type, under each of n secrets:
--                "<theoretical arrival time> <UTC day> <used that day>"
--       then, with an idempotency key,
--       n more   the attempt, under each secret: "p<fingerprint><claim>" while
--                it is made, "d<fingerprint><answer>" once it is kept, and
--                "q<fingerprint><entry>" where it came out of the pool
--       1 more   the failure of the claim that this request waits on
-- ARGV  1 n  2 claim id or ""  3 fingerprint  4 claim's life in ms
--       5 the kept answer that is of no use and to be written over, or ""
--       6 7 user interval in us and count  8 daily limit  9 10 global interval and count
--       11 "1" where the pool may be asked  12 fixed owner or ""
--       13 most age of a pooled token in us  14 replay window in ms
-- Times are microseconds of this server's clock, since replicas' clocks differ.
local n = tonumber(ARGV[1])
local claim, fingerprint = ARGV[2], ARGV[3]
local keyed = claim ~= ''

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function text(number) return string.format('%.0f', number) end

if keyed then
  local failure = redis.call('GET', KEYS[3 + 2 * n])
  if failure then return {'failed', text(now), failure} end
  for i = 1, n do
    local entry = redis.call('GET', KEYS[2 + n + i])
    if entry then
      if string.sub(entry, 2, 23) ~= fingerprint then return {'reused', text(now)} end
      local kind, rest = string.sub(entry, 1, 1), string.sub(entry, 24)
      if kind == 'p' then return {'pending', text(now), rest} end
      if rest ~= ARGV[5] then return {'replay', text(now), kind, rest} end
    end
  end
end

local today = math.floor(now / 86400000000)
local tat, used = 0, 0
for i = 1, n do
  local state = redis.call('GET', KEYS[2 + i])
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

local who, sealed = '', ''
if ARGV[11] == '1' then who = owner(ARGV[12]) end
if who ~= '' then
  repeat
    local entry = redis.call('LPOP', KEYS[2])
    if entry and good(entry, who, now, tonumber(ARGV[13])) then sealed = string.sub(entry, 49) end
  until sealed ~= '' or not entry
end

local function milliseconds(us) return text(math.max(math.ceil(us / 1000), 1)) end
if user_count > 0 then tat = math.max(tat, now) + user_interval end
if global_count > 0 then
  global = math.max(global, now) + global_interval
  redis.call('SET', KEYS[1], text(global), 'PX', milliseconds(global - now))
end
used = used + 1
local life = math.max(tat - now, (today + 1) * 86400000000 - now)
redis.call('SET', KEYS[3], text(tat) .. ' ' .. text(today) .. ' ' .. text(used), 'PX', milliseconds(life))
if keyed then
  for i = 2, n do redis.call('DEL', KEYS[2 + n + i]) end
  if sealed == '' then
    redis.call('SET', KEYS[3 + n], 'p' .. fingerprint .. claim, 'PX', ARGV[4])
  else
    redis.call('SET', KEYS[3 + n], 'q' .. fingerprint .. sealed, 'PX', ARGV[14])
  end
end
return {'granted', text(now), '', text(tat), text(used), text(global), who, sealed}
