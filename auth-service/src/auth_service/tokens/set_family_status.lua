-- Stores the status of a family of refresh tokens, unless it has one. KEYS[1]: the family. ARGV[1]: the status.
-- Returns the stored status; nothing if the family does not exist any more.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
redis.call('HSETNX', KEYS[1], 'status', ARGV[1])
return redis.call('HGET', KEYS[1], 'status')
