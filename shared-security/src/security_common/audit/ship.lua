-- Appends the lines of one journal that the stream does not have yet, and moves the journal's cursor with them.
-- KEYS: stream, cursors.  ARGV: journal id, oldest seq the journal still holds, seq of the first line, lines...
-- Answers the journal's cursor. One script is one atomic unit in memory, in the append-only file and on replicas,
-- so the cursor never tells anything else than the stream holds, whatever happens to either side.
local cursor = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
if redis.call('EXISTS', KEYS[1]) == 0 then
  cursor = 0  -- the stream alone was deleted or evicted: every journal has to feed it again
end
local oldest = tonumber(ARGV[2])
if cursor + 1 < oldest then
  cursor = oldest - 1  -- what lies before has left the journal by retention
end
local first = tonumber(ARGV[3])
local last = first + #ARGV - 4
if first > cursor + 1 or last <= cursor then
  return cursor  -- a gap (the journal goes back to the cursor), or nothing new
end
for seq = cursor + 1, last do
  redis.call('XADD', KEYS[1], '*', 'event', ARGV[4 + seq - first])
end
redis.call('HSET', KEYS[2], ARGV[1], last)
return last
