-- Who this server is, in 32 characters that are new at every start and at every
-- promotion: what an older life of the data handed out is not taken for there.
-- It is asked here, inside the script, since between asking and running the
-- server could be another. "" where it may not be asked, "fixed" has the
-- embedded server's stand for it.
local function owner(fixed)
  if fixed ~= '' then return fixed end
  local replication, server = redis.pcall('INFO', 'replication'), redis.pcall('INFO', 'server')
  if type(replication) ~= 'string' or type(server) ~= 'string' then return '' end
  -- From the line's beginning: master_replid2 is who it was before.
  local history = string.match(replication, '\nmaster_replid:(%x+)')
  local run = string.match(server, '\nrun_id:(%x+)')
  if not history or not run or #history < 16 or #run < 16 then return '' end
  return string.sub(history, 1, 16) .. string.sub(run, 1, 16)
end
