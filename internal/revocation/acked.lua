-- Answers how many replicas the server has, and how much has been written to it
-- and to the one that has most of it, in bytes. "" where it does not say.
-- KEYS 1 a key of the server's
local replication = redis.pcall('INFO', 'replication')
if type(replication) ~= 'string' then return {'', '0', '0'} end
local replicas, most = 0, 0
for offset in string.gmatch(replication, '\nslave%d+:[^\r\n]*offset=(%d+)') do
  replicas, most = replicas + 1, math.max(most, tonumber(offset))
end
local written = string.match(replication, '\nmaster_repl_offset:(%d+)') or '0'
return {string.format('%.0f', replicas), written, string.format('%.0f', most)}
