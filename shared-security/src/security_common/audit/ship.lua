-- Appends the lines of one journal that the stream does not have yet, and moves the journal's cursor.
-- KEYS: stream, cursors.  ARGV: journal id, oldest seq that the journal still has, seq of the first line, lines...
-- Returns the journal's cursor. One script is atomic in memory, in the append-only file and on replicas, so the cursor
-- always agrees with the stream.
local cursor = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
if redis.call('EXISTS', KEYS[1]) == 0 then
  cursor = 0  -- only the stream was deleted or evicted: every journal has to be shipped again
end
local oldest = tonumber(ARGV[2])
if cursor + 1 < oldest then
  cursor = oldest - 1  -- retention has removed the lines before
end
local first = tonumber(ARGV[3])
local last = first + #ARGV - 4
if first > cursor + 1 or last <= cursor then
  return cursor  -- there is a gap, so the journal has to continue at the cursor; or there is nothing new
end
for seq = cursor + 1, last do
  redis.call('XADD', KEYS[1], '*', 'event', ARGV[4 + seq - first])
end
redis.call('HSET', KEYS[2], ARGV[1], last)
return last
