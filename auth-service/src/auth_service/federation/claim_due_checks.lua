-- Claims identities that are due, the oldest first, so that no other replica checks them at the same time.
-- KEYS[1]: the times of the next checks at a provider. ARGV: now, how many, when the claim ends. Returns the keys of the identities.
local due = redis.call('ZRANGEBYSCORE', KEYS[1], 0, ARGV[1], 'LIMIT', 0, ARGV[2])
for _, key in ipairs(due) do
  redis.call('ZADD', KEYS[1], ARGV[3], key)
end
return due
