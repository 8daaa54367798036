-- Rotates a refresh token. KEYS[1]: the family. KEYS[2]: the stored response of the presented generation.
-- ARGV: the presented generation, the encrypted new response, seconds to store it, seconds until the family expires if
-- it is not used.
local current = redis.call('HGET', KEYS[1], 'generation')
if not current then
  return {'gone', ''}
end
if current == ARGV[1] then
  redis.call('HINCRBY', KEYS[1], 'generation', 1)
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
  return {'rotated', ''}
end
local response = redis.call('GET', KEYS[2])
if response then
  return {'repeated', response}
end
redis.call('DEL', KEYS[1])
return {'reused', ''}
