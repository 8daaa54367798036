-- Redeems an authorization code once. KEYS[1]: the code. KEYS[2]: what is remembered of a redeemed code.
-- ARGV[1]: seconds to remember it. It is 'open' until the tokens are issued, then the family id of the tokens.
local grant = redis.call('GET', KEYS[1])
if grant then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[2], 'open', 'EX', ARGV[1])
  return {'taken', grant}
end
local redeemed = redis.call('GET', KEYS[2])
if not redeemed then
  return {'unknown', ''}
end
if redeemed == 'open' then
  return {'raced', ''}
end
return {'reused', redeemed}
