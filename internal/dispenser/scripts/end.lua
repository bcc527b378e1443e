-- Marks sessions that were issued at or before a time as ended. A later ending
-- covers an earlier one.
-- KEYS 1 the ending  ARGV 1 when, in us  2 how long to keep it, in ms
local at = tonumber(redis.call('GET', KEYS[1]) or '')
if not at or at < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
