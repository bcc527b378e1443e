-- Marks sessions as ended. A later ending covers an earlier one.
-- KEYS 1 the log that replicas read, or a key that is not used  then the marks
-- ARGV 1 "1" to write to the log  2 the oldest of its ids to keep
--      then for each mark its hash, when in us, and how long to keep it in ms
for i = 2, #KEYS do
  local hash, at, life = ARGV[3 * i - 3], ARGV[3 * i - 2], ARGV[3 * i - 1]
  local known = tonumber(redis.call('GET', KEYS[i]) or '')
  if not known or known < tonumber(at) then
    redis.call('SET', KEYS[i], at, 'PX', life)
    if ARGV[1] == '1' then
      redis.call('XADD', KEYS[1], 'MINID', '~', ARGV[2], '*', 'h', hash, 'a', at, 'l', life)
      if redis.call('PTTL', KEYS[1]) < tonumber(life) then redis.call('PEXPIRE', KEYS[1], life) end
    end
  end
end
return 1
