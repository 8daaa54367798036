-- Returns the placeholder of each value of one owner, in the order of the arguments, or false at the limit of the owner.
-- A new value without ciphertext, or whose placeholder is in use, has the answer ''.
-- KEYS: a hash with `v:<digest>` = placeholder and `p:<placeholder>` = `<digest>:<ciphertext>`;
--       a sorted set of digests by the time at which they expire
-- ARGV: now, lifetime (both in seconds), largest number of values; then digest, new placeholder, ciphertext of each value
local now, lifetime, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for _, digest in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('HDEL', KEYS[1], 'v:' .. digest, 'p:' .. (redis.call('HGET', KEYS[1], 'v:' .. digest) or ''))
  redis.call('ZREM', KEYS[2], digest)
end
local new = 0
for i = 4, #ARGV, 3 do
  if ARGV[i + 2] ~= '' and redis.call('HEXISTS', KEYS[1], 'v:' .. ARGV[i]) == 0 then
    new = new + 1
  end
end
if redis.call('ZCARD', KEYS[2]) + new > limit then
  return false
end
local placeholders = {}
for i = 4, #ARGV, 3 do
  local digest, candidate, ciphertext = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local placeholder = redis.call('HGET', KEYS[1], 'v:' .. digest)
  if not placeholder and ciphertext ~= '' and redis.call('HEXISTS', KEYS[1], 'p:' .. candidate) == 0 then
    redis.call('HSET', KEYS[1], 'v:' .. digest, candidate, 'p:' .. candidate, digest .. ':' .. ciphertext)
    placeholder = candidate
  end
  if placeholder then
    redis.call('ZADD', KEYS[2], now + lifetime, digest)
  end
  placeholders[#placeholders + 1] = placeholder or ''
end
redis.call('EXPIRE', KEYS[1], lifetime)
redis.call('EXPIRE', KEYS[2], lifetime)
return placeholders
