-- Adds an account. KEYS: the username, the password hash, the account. ARGV: the subject, the hash, the document.
-- An empty hash is not stored: the account has no password.
-- Returns 0, without any change, if the username is taken, or the account exists already: two first sign-ins of one person.
if redis.call('EXISTS', KEYS[3]) == 1 then
  return 0
end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then
  return 0
end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[2], ARGV[2])
end
redis.call('SET', KEYS[3], ARGV[3])
return 1
