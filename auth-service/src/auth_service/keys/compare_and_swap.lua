-- Writes the key records if their version has not changed since they were read.
-- KEYS[1]: the hash of records and version. ARGV[1]: the version that was read. ARGV[2]: the new records.
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if version ~= tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'version', version + 1, 'records', ARGV[2])
return 1
