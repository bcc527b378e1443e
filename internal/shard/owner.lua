-- Who this server is, in 32 characters that are new at every start and at every
-- promotion: what an older life of the data handed out is not taken for there.
-- It is asked here, inside the script, since between asking and running the
-- server could be another. "" where it may not be asked, "fixed" has the
-- embedded server's stand for it.
local function owner(fixed)
  if fixed ~= '' then return fixed end
  local replication, server = redis.pcall('INFO', 'replication'), redis.pcall('INFO', 'server')
  if type(replication) ~= 'string' or type(server) ~= 'string' then return '' end
  local function id(info, name)
    local _, last = string.find(info, name, 1, true)
    local found = last and string.match(info, '^%x+', last + 1) or ''
    return #found >= 16 and string.sub(found, 1, 16)
  end
  -- From the line's beginning: master_replid2 is who it was before.
  local history, run = id(replication, '\nmaster_replid:'), id(server, '\nrun_id:')
  return history and run and history .. run or ''
end
