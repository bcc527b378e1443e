-- Decides one request: session ended? replay? over a limit? -> charge, claim
-- the attempt, and take a token out of the pool where one is ready.
-- Nothing is written unless the answer is "granted", and what can fail comes
-- before the first write: a script is not rolled back.
--
-- KEYS  1        the global rate: "<theoretical arrival time> <its interval>"
--       n more   the caller's state for this type, under each of n secrets:
--                "<theoretical arrival time> <UTC day> <used that day> <the rate's interval>"
--       e more   where it would stand when the session was ended
--       then, with an idempotency key,
--       n more   the attempt, under each secret: "p<fingerprint><claim>" while
--                it is made, "d<fingerprint><answer>" once it is kept, and
--                "q<fingerprint><entry>" where it came out of the pool
--       1 more   the failure of the claim that this request waits on
--       the last are the pools that may be asked, in order
-- ARGV  1 n  2 e  3 when the session was issued, or "" where it does not say
--       4 claim id or ""  5 fingerprint  6 claim's life in ms
--       7 the kept answer that is of no use and to be written over, or ""
--       8 9 user interval in us and count  10 daily limit  11 12 global interval and count
--       13 how many pools there are  14 fixed owner or ""
--       15 most age of a pooled token in us  16 replay window in ms
-- Times are microseconds of this server's clock, since replicas' clocks differ;
-- a session's own are its issuer's.
local n, e = tonumber(ARGV[1]), tonumber(ARGV[2])
local issued, claim, fingerprint = ARGV[3], ARGV[4], ARGV[5]
local keyed = claim ~= ''
local attempts = 1 + n + e -- the keys before the first attempt's
local before_pools = #KEYS - tonumber(ARGV[13])
local values = redis.call('MGET', unpack(KEYS, 1, before_pools))

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]

for i = 2 + n, attempts do
  local ended = values[i]
  -- What cannot be read counts as ended.
  if ended and (issued == '' or tonumber(issued) <= (tonumber(ended) or math.huge)) then
    return {'ended', now}
  end
end

if keyed then
  local failure = values[attempts + n + 1]
  if failure then return {'failed', now, failure} end
  for i = attempts + 1, attempts + n do
    local entry = values[i]
    if entry then
      if string.sub(entry, 2, 23) ~= fingerprint then return {'reused', now} end
      local kind, rest = string.sub(entry, 1, 1), string.sub(entry, 24)
      if kind == 'p' then return {'pending', now, rest} end
      if rest ~= ARGV[7] then return {'replay', now, kind, rest} end
    end
  end
end

local user_interval, user_count = tonumber(ARGV[8]), tonumber(ARGV[9])
local daily = tonumber(ARGV[10])
local global_interval, global_count = tonumber(ARGV[11]), tonumber(ARGV[12])
-- What another rate has kept, of another plan or before the policy changed: as
-- many events are used of this one, as in limit.Rate.
local function adopt(at, step, interval, count)
  if count == 0 or at <= now or step == 0 or step == interval then return at end
  return now + interval * math.min(math.ceil((at - now) / step), count)
end

local today = math.floor(now / 86400000000)
local tat, used, step = 0, 0, ARGV[8]
for i = 2, 1 + n do
  local state = values[i]
  if state then
    local at, day, count, kept = string.match(state, '^(%d+) (%d+) (%d+) (%d+)$')
    if at then
      at = adopt(tonumber(at), tonumber(kept), user_interval, user_count)
      if at > tat then tat, step = at, user_count > 0 and ARGV[8] or kept end
      if tonumber(day) == today then used = math.max(used, tonumber(count)) end
    end
  end
end
local global = 0
if values[1] then
  local at, kept = string.match(values[1], '^(%d+) (%d+)$')
  if at then global = adopt(tonumber(at), tonumber(kept), global_interval, global_count) end
end

local function over(at, interval, count)
  return count > 0 and math.max(at, now) + interval - now > interval * count
end
local function limited(which) return {'limited', now, which, tat, used, global} end
if daily > 0 and used >= daily then return limited('per_user_daily') end
if over(tat, user_interval, user_count) then return limited('per_user') end
if over(global, global_interval, global_count) then return limited('global') end

local who, sealed, from = '', '', 0
if #KEYS > before_pools then who = owner(ARGV[14]) end
if who ~= '' then sealed, from = take_first(before_pools + 1, who, now, tonumber(ARGV[15])) end

if user_count > 0 then tat = math.max(tat, now) + user_interval end
if global_count > 0 then
  global = math.max(global, now) + global_interval
  redis.call('SET', KEYS[1], string.format('%.0f %s', global, ARGV[11]), 'PX', math.ceil((global - now) / 1000))
end
used = used + 1
local life = math.max(tat - now, (today + 1) * 86400000000 - now)
redis.call('SET', KEYS[2], string.format('%.0f %d %d %s', tat, today, used, step), 'PX', math.ceil(life / 1000))
if keyed then
  for i = attempts + 2, attempts + n do redis.call('DEL', KEYS[i]) end
  if sealed == '' then
    redis.call('SET', KEYS[attempts + 1], 'p' .. fingerprint .. claim, 'PX', ARGV[6])
  else
    redis.call('SET', KEYS[attempts + 1], 'q' .. fingerprint .. sealed, 'PX', ARGV[16])
  end
end
return {'granted', now, '', tat, used, global, who, sealed, from, dropped()}
