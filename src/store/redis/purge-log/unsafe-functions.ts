// Functions of the log's scripts for invalidations by unsafe requests: a second stream in the order of the log, and its
// buckets.

/**
 * Any client can send unsafe requests, so their records have a separate stream and bound. Their ids come from the log, in
 * one order with its records. A dropped record leaves its id in the buckets of its names, twelve bytes each in one string.
 * So dropping a record raises no floor.
 *
 * A record holds the identity of its log and the id of the previous record in its stream (none for the first). A record of
 * the log holds the last id in this stream. So the loss of a stream or of the buckets is noticed, and the log begins anew.
 */
export const unsafeFunctions = `
local function earlier(a, b)
  local am, as = a:match('^(%d+)-(%d+)$')
  local bm, bs = b:match('^(%d+)-(%d+)$')
  if tonumber(am) ~= tonumber(bm) then return tonumber(am) < tonumber(bm) end
  return tonumber(as) < tonumber(bs)
end
local function firstUnsafe(unsafe) return redis.call('XRANGE', unsafe, '-', '+', 'COUNT', 1)[1] end
-- Returns the last record of the stream, if it belongs to this log. Records of another log are useless.
local function lastUnsafe(unsafe, buckets, log)
  local last = redis.pcall('XREVRANGE', unsafe, '+', '-', 'COUNT', 1)
  if not last.err and (not last[1] or identity(last[1]) == log) then return last[1] end
  redis.call('UNLINK', unsafe, buckets)
  return nil
end
-- Returns the last id that the log has given, to its own record or to one of this stream.
local function lastGiven(log)
  local info = redis.call('XINFO', 'STREAM', log)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end
-- True if everything that the log refers to exists.
local function unsafeIsWhole(log, unsafe, buckets, last)
  local newest = lastUnsafe(unsafe, buckets, identity(last))
  local given = lastGiven(log)
  local expected = given ~= last[1] and given or field(last, 'unsafe') or ''
  if expected == '' then return true end
  if not newest or earlier(newest[1], expected) then return false end
  return field(firstUnsafe(unsafe), 'prev') == '' or redis.call('TYPE', buckets).ok == 'string'
end
-- Returns a reader's position in the stream. 'there': it continues. 'before': the next records were dropped, and the buckets
-- hold the rest. 'lost': its last record is missing although older ones exist, or is another one.
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
-- Begins a new log after the rest of the old one: no entry stamped until now may live.
local function beginAnew(log, fresh)
  redis.call('XADD', log, '*', 'log', fresh, 'before', '', 'purge', '')
  return redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
end
`
