-- Returns the ciphertext of each placeholder of one owner, or '' if the owner does not have it.
-- KEYS: as in assign_placeholders.lua
-- ARGV: now in seconds, then the placeholders
local ciphertexts = {}
for i = 2, #ARGV do
  local stored = redis.call('HGET', KEYS[1], 'p:' .. ARGV[i]) or ''
  local separator = string.find(stored, ':', 1, true) or 0
  local expires = redis.call('ZSCORE', KEYS[2], string.sub(stored, 1, separator - 1))
  local is_valid = expires and tonumber(expires) > tonumber(ARGV[1])
  ciphertexts[i - 1] = is_valid and string.sub(stored, separator + 1) or ''
end
return ciphertexts
