-- Decides requests of one kind, one after the other. For each: session ended?
-- replay? over a limit? -> charge, claim the attempt; and then, for all that were
-- granted, takes tokens out of the pool as far as they are ready. Each request sees
-- what those before it have charged and claimed.
-- Nothing is written for a request unless its answer is "granted", and what can
-- fail comes before the first write: a script is not rolled back.
--
-- KEYS  1        the global rate: "<theoretical arrival time> <its interval>"
--       p more   the pools that may be asked, in order
--       and for each request
--       n more   the caller's state for this type, under each of n secrets:
--                "<theoretical arrival time> <UTC day> <used that day> <the rate's interval>"
--       e more   where it would stand when the session was ended
--       and with idempotency keys
--       n more   the attempt, under each secret: "p<fingerprint><claim>" while
--                it is made, "d<fingerprint><answer>" once it is kept, and
--                "q<fingerprint><entry>" where it came out of the pool
--       1 more   the failure of the claim that this request waits on
-- ARGV  1 n  2 e  3 p  4 "1" with idempotency keys
--       5 6 user interval in us and count  7 daily limit  8 9 global interval and count
--       10 fixed owner or ""  11 most age of a pooled token in us
--       12 claim's life in ms  13 replay window in ms
--       and for each request
--       1 more   when the session was issued, or "" where it does not say
--       and with idempotency keys
--       3 more   claim id; fingerprint; the kept answer that is of no use and to
--                be written over, or ""
-- Answers the time, and then what each request came to, in one text, since each
-- part of an answer costs both ends more than its characters do:
--       ended
--       failed <failure>
--       reused
--       pending <claim id>
--       replay <"d" or "q", as it stands><answer or entry>
--       limited <limit> <theoretical arrival time> <used today> <that of the global rate>
--       granted <the caller's state> <what was dropped, if anything> <its pool, or 0> <sealed token>
-- Times are microseconds of this server's clock, since replicas' clocks differ;
-- a session's own are its issuer's.
local KEYS, ARGV = KEYS, ARGV
local format, match, sub, max = string.format, string.match, string.sub, math.max
local n, e, pools, keyed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local user_interval, user_count = tonumber(ARGV[5]), tonumber(ARGV[6])
local daily = tonumber(ARGV[7])
local global_interval, global_count = tonumber(ARGV[8]), tonumber(ARGV[9])
local most_age = tonumber(ARGV[11])

local values = redis.call('MGET', KEYS[1], unpack(KEYS, pools + 2))
-- What requests of this run come to leave, by key; false is nothing.
local left = {}
local function value(i)
  local now_there = left[KEYS[i]]
  if now_there ~= nil then return now_there end
  return values[i - pools]
end

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local day = math.floor(now / 86400000000)
local today, tomorrow = format('%d', day), (day + 1) * 86400000000
local function milliseconds(us) return format('%.0f', math.ceil(us / 1000)) end
local rest_of_day = milliseconds(tomorrow - now)

-- What another rate has kept, of another plan or before the policy changed: as
-- many events are used of this one, as in limit.Rate. The intervals are compared as
-- texts, and become numbers only where they differ.
local function adopt(at, step, interval, count)
  if count == 0 or at <= now or step == interval or step == '0' then return at end
  return now + interval * math.min(math.ceil((at - now) / step), count)
end

local function over(at, interval, count)
  return count > 0 and max(at, now) + interval - now > interval * count
end

local global = 0
if values[1] then
  local at, kept = match(values[1], '^(%d+) (%d+)$')
  if at then global = adopt(tonumber(at), kept, ARGV[8], global_count) end
end

local charged = false -- the global rate
local answers = {false} -- which are false until they are known
local granted = {} -- each which answer, after which keys and arguments, and the state and its life

-- The request whose keys come after so many, and whose arguments.
local function decide(keys, args)
  local issued = ARGV[args + 1]
  for i = keys + n + 1, keys + n + e do
    local ended = values[i - pools]
    -- What cannot be read counts as ended.
    if ended and (issued == '' or tonumber(issued) <= (tonumber(ended) or math.huge)) then return 'ended' end
  end

  local attempts, claim, fingerprint = keys + n + e, ARGV[args + 2], ARGV[args + 3]
  if keyed then
    local failure = value(attempts + n + 1)
    if failure then return 'failed ' .. failure end
    for i = attempts + 1, attempts + n do
      local entry = value(i)
      if entry then
        if sub(entry, 2, 23) ~= fingerprint then return 'reused' end
        local kind, rest = sub(entry, 1, 1), sub(entry, 24)
        if kind == 'p' then return 'pending ' .. rest end
        if rest ~= ARGV[args + 4] then return 'replay ' .. kind .. rest end
      end
    end
  end

  local tat, used, step = 0, 0, ARGV[5]
  for i = keys + 1, keys + n do
    local state = value(i)
    if state then
      local at, day, count, kept = match(state, '^(%d+) (%d+) (%d+) (%d+)$')
      if at then
        at = adopt(tonumber(at), kept, ARGV[5], user_count)
        if at > tat then tat, step = at, user_count > 0 and ARGV[5] or kept end
        if day == today then used = max(used, tonumber(count)) end
      end
    end
  end
  local which = daily > 0 and used >= daily and 'per_user_daily'
    or over(tat, user_interval, user_count) and 'per_user'
    or over(global, global_interval, global_count) and 'global'
  if which then return format('limited %s %.0f %d %.0f', which, tat, used, global) end

  if user_count > 0 then tat = max(tat, now) + user_interval end
  if global_count > 0 then global, charged = max(global, now) + global_interval, true end
  used = used + 1
  local state = format('%.0f %s %d %s', tat, today, used, step)
  left[KEYS[keys + 1]] = state
  if keyed then
    for i = attempts + 2, attempts + n do left[KEYS[i]] = false end
    left[KEYS[attempts + 1]] = 'p' .. fingerprint .. claim
  end
  granted[#granted + 1] = {#answers + 1, keys, args, state, tat > tomorrow and milliseconds(tat - now) or rest_of_day}
  return false
end

local keys, args = pools + 1, 13
while keys < #KEYS do
  answers[#answers + 1] = decide(keys, args)
  keys = keys + n + e + (keyed and n + 1 or 0)
  args = args + (keyed and 4 or 1)
end

local who, sealed, from = '', {}, {}
-- Whether anything is there takes less time to tell than who this server is.
if #granted > 0 and pools > 0 and redis.call('EXISTS', unpack(KEYS, 2, pools + 1)) > 0 then who = owner(ARGV[10]) end
if who ~= '' then sealed, from = take(2, pools + 1, #granted, who, now, most_age) end
if charged then
  redis.call('SET', KEYS[1], format('%.0f %s', global, ARGV[8]), 'PX', milliseconds(global - now))
end
local gone = dropped()
for i, one in ipairs(granted) do
  local which, keys, args, state, life = unpack(one)
  redis.call('SET', KEYS[keys + 1], state, 'PX', life)
  if keyed then
    local attempts = keys + n + e
    local entry, kept = left[KEYS[attempts + 1]], ARGV[12]
    if sealed[i] then entry, kept = 'q' .. ARGV[args + 3] .. sealed[i], ARGV[13] end
    redis.call('SET', KEYS[attempts + 1], entry, 'PX', kept)
    if n > 1 then redis.call('DEL', unpack(KEYS, attempts + 2, attempts + n)) end
  end
  answers[which] = 'granted ' .. state .. ' ' .. gone .. ' ' .. (from[i] or '0') .. ' ' .. (sealed[i] or '')
  gone = '' -- it is told once
end
answers[1] = now
return answers
