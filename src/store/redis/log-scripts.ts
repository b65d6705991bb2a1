// What must happen to the log in Redis in one step: appending to it, following it, and counting who does.
import { publishing, Script } from './script.ts'

// Among the replicas, and not the name of one: until when such may live as were registered before the registrations were lost.
const lostField = '!lost'

// What a record takes beside the purge itself, more or less: ids, names of fields, their share of the stream's nodes.
const recordBytes = 200

// `open` gives the last record, beginning a new log where there is none. A record holds the identity of its log and the id
// of the one before it (none: it is the first), so nothing about the log lies anywhere else and can be lost without it.
const common = `
local function open(log, fresh)
  local kind = redis.call('TYPE', log).ok
  if kind ~= 'stream' and kind ~= 'none' then redis.call('UNLINK', log) end
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if last then return last end
  redis.call('XTRIM', log, 'MAXLEN', 0) -- nothing to trim; but see append: after a write that frees, one that adds is let in
  redis.call('XADD', log, '*', 'log', fresh, 'before', '', 'purge', '')
  return redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
end
local function field(record, name)
  for i = 1, #record[2], 2 do
    if record[2][i] == name then return record[2][i + 1] end
  end
  return nil
end
local function identity(record) return field(record, 'log') or '' end
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
`

/** Where an append begins. KEYS: log. ARGV: identity for a new log. Answers the time by the clock of Redis, and the last id. */
export const beginScript = new Script(`${common}
return { string.format('%.0f', now()), open(KEYS[1], ARGV[1])[1] }
`)

/**
 * Appends a purge, once however often it is tried, and not at all after its deadline: a command that its sender has given up
 * may still run, and must then do nothing. KEYS: log. ARGV: identity for a new log, purge, most records, milliseconds to
 * keep a record (0: no end), most bytes, name of this append, last id before it, deadline by the clock of Redis, attempt.
 * Answers the id of the record and the identity of the log, or nothing when it was too late.
 */
export const appendScript = new Script(`${common}
local log = KEYS[1]
local fresh, purge, most, keep, bytes, name, from, deadline, attempt = unpack(ARGV)
if tonumber(attempt) > 1 and redis.call('TYPE', log).ok == 'stream' then
  for _, record in ipairs(redis.call('XRANGE', log, from, '+')) do
    if field(record, 'name') == name then return { record[1], identity(record) } end
  end
end
if now() > tonumber(deadline) then return {} end
local last = open(log, fresh)
-- First of all room is made: a write that frees lets the next one in when memory is full (maxmemory with noeviction), so
-- that a Redis full of entries can still be told to forget them.
redis.call('XTRIM', log, 'MAXLEN', '~', most)
local sum = (tonumber(field(last, 'sum')) or 0) + #purge + ${recordBytes}
-- Redis before 6.2 cannot trim by id: its log is bounded by the number of records alone.
local function trim(id) return type(redis.pcall('XTRIM', log, 'MINID', '=', id)) == 'number' end
local count = 1
for page = 1, 64 do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', count)
  local over = #oldest
  for i, record in ipairs(oldest) do
    if sum - (tonumber(field(record, 'sum')) or 0) <= tonumber(bytes) then over = i - 1 break end
  end
  if over == 0 then break end
  -- The last record stays: it is what the log continues from.
  local first = oldest[over + 1] or oldest[over]
  if count > 1 and (not trim(first[1]) or first[1] == last[1] or over < #oldest) then break end
  count = 64
end
local id = redis.call('XADD', log, '*', 'log', identity(last), 'before', last[1], 'purge', purge, 'name', name, 'sum', string.format('%.0f', sum))
if tonumber(keep) > 0 then
  redis.pcall('XTRIM', log, 'MINID', '~', string.format('%.0f', math.max(0, now() - tonumber(keep))))
end
return { id, identity(last) }
`)

/**
 * Reads on from the last record applied, and says that the reader lives and what it has applied: in one step, so that
 * whoever has read has been counted. KEYS: log, replicas. ARGV: replica, identity of the log it follows ('': none yet),
 * last id applied, its stamp, identity for a new log, time to live of the registration, most records, channel, whether a
 * registration of the reader cannot have run out ('1'), the longest that a replica goes by what it knows.
 * Answers whether the records continue what was applied (1), or begin anew (0), and the records.
 */
export const followScript = new Script(`${common}${publishing}
local log, replicas = KEYS[1], KEYS[2]
local me, followed, applied, stamp, fresh, ttl, most, channel, counted, lag = unpack(ARGV)
local function before(a, b)
  local am, as = a:match('^(%d+)-(%d+)$')
  local bm, bs = b:match('^(%d+)-(%d+)$')
  if tonumber(am) ~= tonumber(bm) then return tonumber(am) < tonumber(bm) end
  return tonumber(as) < tonumber(bs)
end
local kind = redis.call('TYPE', replicas).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', replicas) end
local registered = redis.call('HGET', replicas, me)
redis.call('PEXPIRE', replicas, tonumber(ttl) * 10) -- first: being counted must not fail for want of memory (see append)
if not registered and counted == '1' then
  -- It was, and nobody took it off: what was known of who lives is lost. Others may be left out whom nobody can name.
  redis.call('HSET', replicas, '${lostField}', string.format('%.0f', now() + tonumber(lag)))
end
redis.call('HSET', replicas, me, stamp .. ' ' .. string.format('%.0f', now() + tonumber(ttl)))
redis.call('PEXPIRE', replicas, tonumber(ttl) * 10)
if not registered or registered:match('^%S*') ~= stamp then publish(channel, me) end

local last = open(log, fresh)
if not registered and followed ~= '' and followed ~= identity(last) then
  -- The log is another one, and the registrations are lost with the one before it: whoever follows that one still goes by
  -- it for a while.
  redis.call('HSET', replicas, '${lostField}', string.format('%.0f', now() + tonumber(lag)))
end
if followed ~= '' and followed == identity(last) then
  if redis.call('XRANGE', log, applied, applied)[1] then
    local records = redis.call('XRANGE', log, applied, '+', 'COUNT', tonumber(most) + 1)
    table.remove(records, 1)
    return answer({ 1, records })
  end
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not before(applied, first[1]) then
    -- What was applied, and so perhaps answered for, is not in the log any more, and older records are: the end was lost
    -- (a failover). Others may not know what it was, so nothing that was stamped until now may live.
    redis.call('XADD', log, '*', 'log', fresh, 'before', '', 'purge', '')
  end
end
return answer({ 0, redis.call('XRANGE', log, '-', '+', 'COUNT', most) })
`)

/** Who lives. KEYS: replicas. Answers whether others may live who are not named ('1', or ''), then name, stamp, name, stamp… */
export const replicasScript = new Script(`${common}
local live = { '' }
local all = redis.call('HGETALL', KEYS[1])
local time = now()
for i = 1, #all, 2 do
  local stamp, expires = all[i + 1]:match('^(%S*) (%d+)$')
  if all[i] == '${lostField}' and tonumber(all[i + 1]) and tonumber(all[i + 1]) >= time then
    live[1] = '1'
  elseif stamp and tonumber(expires) >= time then
    live[#live + 1] = all[i]
    live[#live + 1] = stamp
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return live
`)
