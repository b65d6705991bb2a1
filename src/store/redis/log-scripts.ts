// What must happen to the log in Redis in one step: appending to it, following it, and counting who does.
import { Script } from './script.ts'

// Among the replicas, and not the name of one: until when such may live as were registered before the registrations were lost.
const lostField = '!lost'

// `open` gives the last record, beginning a new log where there is none. A record holds the identity of its log and the id
// of the one before it (none: it is the first), so nothing about the log lies anywhere else and can be lost without it.
const common = `
local function open(log, fresh)
  local kind = redis.call('TYPE', log).ok
  if kind ~= 'stream' and kind ~= 'none' then redis.call('UNLINK', log) end
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if last then return last end
  redis.call('XADD', log, '*', 'log', fresh, 'before', '', 'purge', '')
  return redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
end
local function identity(record)
  for i = 1, #record[2], 2 do
    if record[2][i] == 'log' then return record[2][i + 1] end
  end
  return ''
end
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
`

/**
 * Appends a purge. KEYS: log. ARGV: identity for a new log, purge, most records, milliseconds to keep a record (0: no end).
 * Answers the id of the record, and the identity of the log.
 */
export const appendScript = new Script(`${common}
local log = KEYS[1]
local last = open(log, ARGV[1])
local id = redis.call('XADD', log, 'MAXLEN', '~', ARGV[3], '*', 'log', identity(last), 'before', last[1], 'purge', ARGV[2])
if tonumber(ARGV[4]) > 0 then
  -- Redis before 6.2 cannot: its log is bounded by the number of records alone.
  redis.pcall('XTRIM', log, 'MINID', '~', string.format('%.0f', math.max(0, now() - tonumber(ARGV[4]))))
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
export const followScript = new Script(`${common}
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
if not registered and counted == '1' then
  -- It was, and nobody took it off: what was known of who lives is lost. Others may be left out whom nobody can name.
  redis.call('HSET', replicas, '${lostField}', string.format('%.0f', now() + tonumber(lag)))
end
redis.call('HSET', replicas, me, stamp .. ' ' .. string.format('%.0f', now() + tonumber(ttl)))
redis.call('PEXPIRE', replicas, tonumber(ttl) * 10)
if not registered or registered:match('^%S*') ~= stamp then redis.call('PUBLISH', channel, me) end

local last = open(log, fresh)
if followed ~= '' and followed == identity(last) then
  if redis.call('XRANGE', log, applied, applied)[1] then
    local records = redis.call('XRANGE', log, applied, '+', 'COUNT', tonumber(most) + 1)
    table.remove(records, 1)
    return { 1, records }
  end
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not before(applied, first[1]) then
    -- What was applied, and so perhaps answered for, is not in the log any more, and older records are: the end was lost
    -- (a failover). Others may not know what it was, so nothing that was stamped until now may live.
    redis.call('XADD', log, '*', 'log', fresh, 'before', '', 'purge', '')
  end
end
return { 0, redis.call('XRANGE', log, '-', '+', 'COUNT', most) }
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
