-- Tries every command that farebox' scripts use, on keys of its own, which are
-- gone at the end, and at the latest after a minute. INFO is the fence's.
-- KEYS 1 to 4 keys of one slot
-- Answers, for each that fails: the command, and what Redis says.
local failed = {}
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    failed[#failed + 1] = (...)
    failed[#failed + 1] = reply.err
  end
end
local text, list, set, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
try('TIME')
try('SET', text, '1', 'PX', 60000)
try('GET', text)
try('MGET', text)
try('EXISTS', text)
try('PTTL', text)
try('RPUSH', list, '1', '2')
try('PEXPIRE', list, 60000)
try('LLEN', list)
try('LINDEX', list, 0)
try('LPOP', list)
try('ZADD', set, 1, '1')
try('PEXPIRE', set, 60000)
try('ZCARD', set)
try('ZREM', set, '1')
try('ZREMRANGEBYSCORE', set, 0, 1)
try('XADD', stream, 'MINID', '~', '1', '*', 'a', '1')
try('PEXPIRE', stream, 60000)
try('XRANGE', stream, '-', '+', 'COUNT', 1)
try('DEL', text)
try('HSET', text, 'a', '1')
try('PEXPIRE', text, 60000)
try('HGETALL', text)
try('HDEL', text, 'a')
try('SADD', text, '1')
try('PEXPIRE', text, 60000)
try('SMISMEMBER', text, '1')
try('UNLINK', text)
try('DEL', list)
try('DEL', stream)
return failed
