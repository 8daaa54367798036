-- Changes the username of an account.
-- KEYS: the new username, the old username, the account. ARGV: the subject, the document as it was read, the new document.
-- Returns 1; 0, without any change, if another account has the username; -1 if the account changed in the meantime.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
if redis.call('GET', KEYS[3]) ~= ARGV[2] then
  return -1
end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[3], ARGV[3])
return 1
