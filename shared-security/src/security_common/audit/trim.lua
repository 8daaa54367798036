-- Removes stream entries that are older than a time, but none that a consumer group still has to read or acknowledge.
-- KEYS: stream.  ARGV: milliseconds since the epoch.  Returns the number of removed entries.
-- This is XTRIM MINID limited by the slowest group, in one script so that no group can be created in between.
-- XTRIM ... ACKED would do the same and exists only in Redis 8.2 and later.
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
for _, members in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for place = 1, #members, 2 do
    group[members[place]] = members[place + 1]
  end
  local needed = group['last-delivered-id']
  if group['pending'] > 0 then
    needed = redis.call('XPENDING', KEYS[1], group['name'])[2]
  end
  if is_before(needed, keep_from) then
    keep_from = needed
  end
end
return redis.call('XTRIM', KEYS[1], 'MINID', keep_from)
