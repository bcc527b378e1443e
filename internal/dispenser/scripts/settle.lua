-- Keeps the answer of a claim for replay, unless another claim has taken its
-- place: then 0, and the answer is not to be handed out.
-- KEYS 1 the attempt  ARGV 1 claim id  2 fingerprint  3 sealed answer  4 window in ms
local entry = redis.call('GET', KEYS[1])
if entry and entry ~= 'p' .. ARGV[2] .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'd' .. ARGV[2] .. ARGV[3], 'PX', ARGV[4])
return 1
