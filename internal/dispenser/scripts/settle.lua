-- Keeps the answer of a claim for replay, unless another claim has taken its
-- place: then 0, and the answer is not to be handed out.
-- KEYS 1 the attempt  ARGV 1 what is expected there  2 the answer  3 window in ms
local entry = redis.call('GET', KEYS[1])
if entry and entry ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
