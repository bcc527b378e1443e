-- What the server does when its memory is full, as far as it may be asked here.
local memory = redis.pcall('INFO', 'memory')
if type(memory) ~= 'string' then return '' end
return string.match(memory, '\nmaxmemory_policy:([%w-]+)') or ''
