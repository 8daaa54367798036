-- Adds to what all replicas have counted, and tells each sum.
-- KEYS: one a caller and minute. ARGV: how long they are kept, in seconds; then what to add to each.
local sums = {}
for place, key in ipairs(KEYS) do
  sums[place] = redis.call('INCRBY', key, ARGV[place + 1])
  redis.call('EXPIRE', key, ARGV[1])
end
return sums
