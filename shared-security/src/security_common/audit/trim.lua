-- Drops stream entries older than a moment, but none that a consumer group still has to read or to acknowledge.
-- KEYS: stream.  ARGV: milliseconds since the epoch.  Answers how many entries went.
-- MINID by the slowest group, in one script so that no group can appear in between: XTRIM ... ACKED would say the same
-- and exists only in Redis 8.2 and later.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end

local function is_before(left, right)
  local left_ms, left_number = left:match('(%d+)%-(%d+)')
  local right_ms, right_number = right:match('(%d+)%-(%d+)')
  if tonumber(left_ms) ~= tonumber(right_ms) then
    return tonumber(left_ms) < tonumber(right_ms)
  end
  return tonumber(left_number) < tonumber(right_number)
end

local keep_from = ARGV[1] .. '-0'
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local told = {}
  for place = 1, #group, 2 do
    told[group[place]] = group[place + 1]
  end
  local needed = told['last-delivered-id']
  if told['pending'] > 0 then
    needed = redis.call('XPENDING', KEYS[1], told['name'])[2]
  end
  if is_before(needed, keep_from) then
    keep_from = needed
  end
end
return redis.call('XTRIM', KEYS[1], 'MINID', keep_from)
