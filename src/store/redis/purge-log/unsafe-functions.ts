// What the log's scripts know of invalidations by unsafe requests: a second stream in the order of the log, and its buckets.

/**
 * Unsafe requests come from anybody, so their records have a stream and a bound of their own. Their ids are taken from the log, in
 * one order with its records. A record that is let go leaves its id in the buckets of its names, twelve bytes each in one string,
 * so letting go raises no floor.
 *
 * A record holds the identity of its log and the id of the one before it in its stream (none: it is the first). A record of the
 * log holds the last id that there was in this stream. So a stream or buckets that are lost are noticed, and the log begins anew.
 */
export const unsafeFunctions = `
local function earlier(a, b)
  local am, as = a:match('^(%d+)-(%d+)$')
  local bm, bs = b:match('^(%d+)-(%d+)$')
  if tonumber(am) ~= tonumber(bm) then return tonumber(am) < tonumber(bm) end
  return tonumber(as) < tonumber(bs)
end
local function firstUnsafe(unsafe) return redis.call('XRANGE', unsafe, '-', '+', 'COUNT', 1)[1] end
-- The last record of the stream, if it belongs to this log. What belongs to another one is of no use to anybody.
local function lastUnsafe(unsafe, buckets, log)
  local last = redis.pcall('XREVRANGE', unsafe, '+', '-', 'COUNT', 1)
  if not last.err and (not last[1] or identity(last[1]) == log) then return last[1] end
  redis.call('UNLINK', unsafe, buckets)
  return nil
end
-- The last id that the log has given, to a record of its own or to one of this stream.
local function lastGiven(log)
  local info = redis.call('XINFO', 'STREAM', log)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end
-- Whether all is there that the log says there was.
local function unsafeIsWhole(log, unsafe, buckets, last)
  local newest = lastUnsafe(unsafe, buckets, identity(last))
  local given = lastGiven(log)
  local expected = given ~= last[1] and given or field(last, 'unsafe') or ''
  if expected == '' then return true end
  if not newest or earlier(newest[1], expected) then return false end
  return field(firstUnsafe(unsafe), 'prev') == '' or redis.call('TYPE', buckets).ok == 'string'
end
-- Where a reader of this log is in the stream: 'there'; 'before' what is left of it, so that the buckets tell the rest; or 'lost',
-- when the record that it applied last is gone, though older ones are there, or is another one.
local function placeInUnsafe(unsafe, buckets, log, id, name)
  lastUnsafe(unsafe, buckets, log)
  local first = firstUnsafe(unsafe)
  if not first then return id == '' and 'there' or 'lost' end
  local mine = id ~= '' and redis.call('XRANGE', unsafe, id, id)[1]
  if mine then return field(mine, 'name') == name and 'there' or 'lost' end
  local gone = field(first, 'prev')
  if gone == id then return 'there' end
  return gone ~= '' and (id == '' or not earlier(gone, id)) and 'before' or 'lost'
end
-- Begins a new log behind what is left of the old one: nothing that was stamped until now may live.
local function beginAnew(log, fresh)
  redis.call('XADD', log, '*', 'log', fresh, 'before', '', 'purge', '')
  return redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
end
`
