-- Redeems an authorization code once. KEYS[1]: the code. KEYS[2]: the redeemed code. ARGV[1]: seconds to store KEYS[2].
-- A redeemed code is 'in_progress' until its tokens are issued; then it names their family and user.
local grant = redis.call('GET', KEYS[1])
if grant then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[2], 'in_progress', 'EX', ARGV[1])
  return {'redeemed', grant}
end
local redeemed = redis.call('GET', KEYS[2])
if not redeemed then
  return {'unknown', ''}
end
if redeemed == 'in_progress' then
  return {'raced', ''}
end
return {'reused', redeemed}
