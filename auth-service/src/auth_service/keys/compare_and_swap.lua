-- Compare-and-swap of the key records: KEYS[1] the hash, ARGV[1] the version read, ARGV[2] the new records.
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if version ~= tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'version', version + 1, 'records', ARGV[2])
return 1
