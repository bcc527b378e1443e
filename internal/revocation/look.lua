-- Reads what is new in the log of endings, and who the server is: an older life
-- of the data, or none, may lack some.
-- KEYS 1 the log  2 the name of this life of the data, gone with it
-- ARGV 1 fixed owner or ""  2 the last id that was read  3 how many at most  4 a new name
-- Answers who this server is, which life this is, and for each new ending: id,
-- hash, when in us, and how long to keep it from now in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local life = redis.call('GET', KEYS[2])
if not life then
  life = ARGV[4]
  redis.call('SET', KEYS[2], life)
end
local answer = {owner(ARGV[1]), life}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', ARGV[3])) do
  local fields = entry[2]
  local age = now - tonumber(string.match(entry[1], '^%d+'))
  answer[#answer + 1] = entry[1]
  answer[#answer + 1] = fields[2]
  answer[#answer + 1] = fields[4]
  answer[#answer + 1] = string.format('%.0f', tonumber(fields[6]) - age)
end
return answer
