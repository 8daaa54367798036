-- Takes a code, once: KEYS[1] the code, KEYS[2] what it leaves behind, ARGV[1] seconds to remember it for.
-- What is left says "open" until the answer has been made, then the family of the tokens that the code gave.
local grant = redis.call('GET', KEYS[1])
if grant then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[2], 'open', 'EX', ARGV[1])
  return {'taken', grant}
end
local left = redis.call('GET', KEYS[2])
if not left then
  return {'unknown', ''}
end
if left == 'open' then
  return {'raced', ''}
end
return {'reused', left}
