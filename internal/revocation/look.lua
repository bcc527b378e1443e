-- Reads what is new in the log of endings, and who the server is: an older life
-- of the data, or none, may lack some.
-- KEYS 1 the log  ARGV 1 fixed owner or ""  2 the last id that was read  3 how many at most
-- Answers who this server is, how long the log is, and for each new ending: id,
-- hash, when in us, and how long to keep it from now in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local answer = {owner(ARGV[1]), string.format('%.0f', redis.call('XLEN', KEYS[1]))}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', ARGV[3])) do
  local fields = entry[2]
  local age = now - tonumber(string.match(entry[1], '^%d+'))
  answer[#answer + 1] = entry[1]
  answer[#answer + 1] = fields[2]
  answer[#answer + 1] = fields[4]
  answer[#answer + 1] = string.format('%.0f', tonumber(fields[6]) - age)
end
return answer
